"""Volumes that are encrypted, and their key: real file systems on loop devices, with a stand-in for cryptsetup.

The stand-in keeps the keys in a volume's header, and opens it in clear. tests/integration/lab/test_encrypted_volumes.py
has the real one.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pulumi_kubernetes as kubernetes
import pytest

from components.cluster.machine import program
from components.cluster.storage import MOUNT, LocalStorage
from components.config.sections import Encryption
from components.remote import Ssh
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import Host, cluster_args, machine, machines, worker
from tests.unit.components.cluster.test_volumes import GIB, ROOT, loop_devices, size
from tests.unit.components.conftest import Recorder, ssh_options

CRYPTSETUP = r"""
action=$1 key='' tried=false
shift
given=()
while (($#)); do
  case $1 in
    --key-file) key=$(cat "$2") && shift ;;
    --type | --sector-size | --pbkdf | --pbkdf-force-iterations) shift ;;
    --test-passphrase) tried=true ;;
    --*) ;;
    *) given+=("$1") ;;
  esac
  shift
done
file=${given[0]} device=$MACHINE/dev/mapper/${given[0]}
[[ ! -e $MACHINE/fails-at-$action-${file##*/} ]] || exit 1
slots() { head -c 4096 "$file" | tr -d '\0' | tail -n +2; }
keep() { { echo LUKS && cat && head -c 4096 /dev/zero; } | head -c 4096 | dd of="$file" conv=notrunc status=none; }
opens() { slots | awk -v key="$key" '$2 == key { print $1; found = 1 } END { exit !found }'; }
case $action in
  luksFormat) echo "0 $key" | keep ;;
  luksAddKey)
    opens >&2 || exit 2
    more=$(slots && echo "$(slots | awk '{ n = $1 + 1 } END { print n }') $(cat "${given[1]}")")
    keep <<<"$more" ;;
  luksKillSlot) left=$(slots | awk -v slot="${given[1]}" '$1 != slot') && keep <<<"$left" ;;
  luksDump)
    printf '%s\n' 'LUKS header' 'Keyslots:' "$(slots | awk '{ print "  " $1 ": luks2" }')" 'Tokens:' '  9: none' ;;
  erase) keep <<<'' ;;
  open)
    slot=$(opens) || exit 2
    if [[ $tried == true ]]; then echo "Key slot $slot unlocked."; else
      mkdir -p "$MACHINE/dev/mapper"
      ln -s "$(losetup --find --show --offset $((2 ** 24)) "$file")" "$MACHINE/dev/mapper/${given[1]}"
    fi ;;
  close) losetup --detach "$(readlink "$device")" && rm "$device" ;;
  resize) [[ -b $device ]] ;;
esac
"""
CLEVIS = r"""
case $1 in
  encrypt)
    url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' <<<"$3")
    [[ -e $MACHINE/${url##*/} ]] || { echo "Unable to fetch advertisement: $url" >&2; exit 1; }
    printf '%s:%s' "${url##*/}" "$(base64 -w 0)" ;;
  decrypt)
    # The real one fails at a line break.
    ! IFS=: read -r server text && [[ -e $MACHINE/$server ]] && base64 -d <<<"$text" ;;
esac
"""
KEY_FILE = "/etc/argus/volume-key"
TANG = (f"http://tang1 {'T' * 43}", f"http://tang2 {'U' * 43}")


@pytest.fixture
def host(hosts: dict[str, Host]) -> Iterator[Host]:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("only root may mount, and needs loop devices")
    worker = hosts["worker1"]
    worker.program("cryptsetup", CRYPTSETUP)
    worker.program("clevis", CLEVIS)
    for server in ("tang1", "tang2"):
        worker.path(server).touch()
    yield worker
    worker.run("volumes_delete.sh", root=str(worker.path(ROOT)))
    assert str(worker.root) not in loop_devices()


def make(
    host: Host, *volumes: str, key_name: str = "key1", tang: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    return host.run(
        "volumes.sh",
        root=str(host.path(ROOT)),
        volumes=list(volumes),
        bounded=True,
        key_name=key_name,
        tang=tang,
        mount=host.within(program(*MOUNT)),
    )


def refused(host: Host, *volumes: str, **given: str | Sequence[str]) -> str:
    """Why the step fails."""
    with pytest.raises(subprocess.CalledProcessError) as error:
        make(host, *volumes, **given)  # type: ignore[arg-type]
    return str(error.value.stderr)


def power_cut(host: Host) -> None:
    """Nothing is mounted or open any more, as when a machine starts."""
    for name in ("kafka", "consumer"):
        if (host.path(ROOT) / name).is_mount():
            subprocess.run(["umount", host.path(ROOT) / name], check=True)
        if (device := host.path(f"/dev/mapper/argus.volume.{name}")).is_symlink():
            subprocess.run(["losetup", "--detach", device.readlink()], check=True)
            device.unlink()


def start(host: Host, *patience: str) -> subprocess.Popen[str]:
    """What the machine does at its start."""
    tool = host.path("/usr/local/lib/argus/mount-volumes")
    environment = {"PATH": f"{host.root}/bin:{os.environ['PATH']}", "MACHINE": str(host.root)}
    return subprocess.Popen([tool, host.path(ROOT), *patience], env=environment, stderr=subprocess.PIPE, text=True)


def starts(host: Host) -> bool:
    power_cut(host)
    return start(host, "0").wait(30) == 0


def slots(host: Host, volume: str = "kafka") -> list[str]:
    """The keys that open a volume."""
    header = (host.path("/var/lib/argus/disks") / f"{volume}.img").read_bytes()[:4096]
    return [line.split()[1] for line in header.rstrip(b"\0").decode().splitlines()[1:] if line]


def key_of(host: Host) -> str:
    return host.path(KEY_FILE).read_text().splitlines()[1]


def changes(host: Host) -> list[str]:
    """What was done to headers."""
    return [call for call in host.ran("cryptsetup") if call.startswith("luks") and not call.startswith("luksDump")]


def test_each_machine_is_told_the_key_s_name_and_its_servers(pulumi_mocks: Recorder) -> None:
    servers = [dict(zip(("url", "thumbprint"), each.split(), strict=True)) for each in TANG]
    args = cluster_args(
        machines=machines([machine("cp1", "192.0.2.11")], [worker("worker1", "192.0.2.21")]),
        ssh=Ssh(options=ssh_options(), host_keys={"192.0.2.21": ["ssh-ed25519 A"]}),
        volumes_gib={"kafka": 1},
        bounded_volumes=True,
    )
    given = replace(args, volume_encryption=Encryption.model_validate({"key": "2027", "tang": servers}))

    def both() -> None:
        for name, each in (("clear", args), ("encrypted", given)):
            LocalStorage(name, each, provider=kubernetes.Provider(f"{name}-provider"))

    pulumi_mocks.run(both)
    clear, encrypted = (
        unpacked(pulumi_mocks.named(f"{name}-worker1-folders").inputs["create"]) for name in ("clear", "encrypted")
    )
    assert "KEY_NAME=''\nTANG=''\n" in clear
    assert f"KEY_NAME=2027\nTANG='{TANG[0]}\n{TANG[1]}'\n" in encrypted


def test_a_volume_is_encrypted_with_a_key_of_its_machine_that_nobody_sees(host: Host) -> None:
    make(host, "kafka 1", "consumer 1")
    kafka = host.path(ROOT) / "kafka"
    assert kafka.is_mount() and (host.path(ROOT) / "consumer").is_mount() and 0.8 < size(kafka) <= 1
    assert host.path("/dev/mapper/argus.volume.kafka").is_block_device()
    assert slots(host) == slots(host, "consumer") == [key_of(host)]
    assert len(key_of(host)) == 44 and key_of(host) not in host.noted
    assert host.path(KEY_FILE).stat().st_mode & 0o777 == 0o600
    (formatted, _) = (call for call in changes(host) if call.startswith("luksFormat"))
    assert "--type luks2" in formatted and formatted.endswith("kafka.img.new")
    # Its blocks are its own from the start, but those that a loop device frees where a file system writes zeros.
    assert (host.path("/var/lib/argus/disks") / "kafka.img").stat().st_blocks * 512 >= 0.95 * GIB


def test_the_second_time_nothing_changes_and_a_start_opens_it(host: Host) -> None:
    make(host, "kafka 1", "consumer 1")
    (host.path(ROOT) / "kafka/log").write_text("kept")
    key, before = host.path(KEY_FILE).read_text(), changes(host)
    make(host, "kafka 1", "consumer 1")
    assert starts(host) and starts(host)
    assert (host.path(ROOT) / "kafka/log").read_text() == "kept"
    assert (host.path(KEY_FILE).read_text(), changes(host)) == (key, before)


def test_another_key_replaces_the_former_while_volumes_are_in_use(host: Host) -> None:
    make(host, "kafka 1", "consumer 1")
    with (host.path(ROOT) / "kafka/log").open("w") as log:
        former = key_of(host)
        make(host, "kafka 1", "consumer 1", key_name="2027")
        log.write("kept")
    assert slots(host) == slots(host, "consumer") == [key_of(host)] != [former]
    assert host.path(KEY_FILE).read_text().startswith("2027\n")
    assert starts(host) and (host.path(ROOT) / "kafka/log").read_text() == "kept"


def another_slot(host: Host, slot: int, key: str) -> None:
    """What somebody has who makes a key of his own for a volume."""
    file = host.path("/var/lib/argus/disks/kafka.img")
    header = file.read_bytes()[:4096].rstrip(b"\0") + f"{slot} {key}\n".encode()
    with file.open("r+b") as opened:
        opened.write(header.ljust(4096, b"\0"))


def test_key_slots_of_somebody_else_stay(host: Host) -> None:
    make(host, "kafka 1")
    another_slot(host, 7, "escrow")
    assert "is removed" not in make(host, "kafka 1").stderr
    assert slots(host) == [key_of(host), "escrow"]
    obstacle = host.path("fails-at-luksKillSlot-kafka.img")
    obstacle.touch()
    refused(host, "kafka 1", key_name="2027")
    obstacle.unlink()
    told = make(host, "kafka 1", key_name="2027").stderr
    assert re.search(r"key slot 0 of \S+/kafka.img is removed", told)
    assert sorted(slots(host)) == sorted([key_of(host), "escrow"])
    assert not host.path(f"{KEY_FILE}.change").exists()


def test_without_encrypted_volumes_no_key_is_opened_and_none_is_kept(host: Host) -> None:
    make(host, "kafka 1", key_name="")
    make(host, "kafka 1", tang=TANG)
    assert host.path(KEY_FILE).exists()
    for server in ("tang1", "tang2"):
        host.path(server).unlink()
    make(host, "kafka 1", key_name="")
    assert not host.path("/etc/argus").exists() and (host.path(ROOT) / "kafka").is_mount()


def test_the_seal_of_each_tang_server_is_tried(host: Host) -> None:
    make(host, "kafka 1")
    former = slots(host)
    sealing = "$(base64 -w 0)"
    assert sealing in CLEVIS
    # The second one seals something else.
    other = "$(if [[ $url == *tang2 ]]; then echo other; else cat; fi | base64 -w 0)"
    host.program("clevis", CLEVIS.replace(sealing, other))
    assert "what http://tang2 sealed does not open again" in refused(host, "kafka 1", tang=TANG)
    assert slots(host) == former and starts(host)


def test_the_undo_closes_no_device_of_somebody_else(host: Host) -> None:
    make(host, "kafka 1", key_name="")
    found = ["findmnt", "-n", "-o", "SOURCE", "--target", str(host.path(ROOT) / "kafka")]
    device = subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip()
    link = host.path("/dev/mapper/argus.volume.kafka")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(device)
    host.run("volumes_delete.sh", root=str(host.path(ROOT)))
    assert not [call for call in host.ran("cryptsetup") if call.startswith("close")]
    link.unlink()


@pytest.mark.parametrize("at", ["luksAddKey", "luksKillSlot"])
@pytest.mark.parametrize("volume", ["consumer", "kafka"])
def test_a_change_of_keys_that_is_cut_short_leaves_all_open_and_goes_on(host: Host, at: str, volume: str) -> None:
    make(host, "kafka 1", "consumer 1")
    former, obstacle = key_of(host), host.path(f"fails-at-{at}-{volume}.img")
    obstacle.touch()
    for _ in range(2):
        refused(host, "kafka 1", "consumer 1", key_name="2027")
        assert (key_of(host) == former) == (at == "luksAddKey")
        assert starts(host)
    obstacle.unlink()
    make(host, "kafka 1", "consumer 1", key_name="2028")
    assert slots(host) == slots(host, "consumer") == [key_of(host)] != [former]
    assert starts(host)


def test_it_grows_with_its_data(host: Host) -> None:
    make(host, "kafka 1")
    kafka = host.path(ROOT) / "kafka"
    (kafka / "log").write_text("kept")
    told = make(host, "kafka 2").stderr
    assert [
        call for call in host.ran("cryptsetup") if call.startswith("resize") and call.endswith("argus.volume.kafka")
    ]
    if "when this machine starts again" in told:
        # Here root lacks the right to grow what is in use.
        assert starts(host)
    assert (kafka / "log").read_text() == "kept" and 1.5 < size(kafka) <= 2


def test_what_was_made_in_clear_stays_so_and_what_was_encrypted_too(host: Host) -> None:
    make(host, "kafka 1", key_name="")
    assert not host.path(KEY_FILE).exists()
    (host.path(ROOT) / "kafka/log").write_text("kept")
    assert f"{host.path(ROOT)}/kafka was made in clear, and stays so" in make(host, "kafka 1", "consumer 1").stderr
    assert slots(host, "consumer") == [key_of(host)]
    make(host, "kafka 1", "consumer 2", "zookeeper 1", key_name="")
    assert not host.path("/dev/mapper/argus.volume.zookeeper").exists() and (host.path(ROOT) / "zookeeper").is_mount()
    assert starts(host) and (host.path(ROOT) / "kafka/log").read_text() == "kept"
    assert 1.5 < size(host.path(ROOT) / "consumer") <= 2


def test_volumes_without_their_key_are_not_given_another_one(host: Host) -> None:
    make(host, "kafka 1")
    kept = host.path(KEY_FILE).rename(host.path("kept"))
    before = changes(host)
    assert "volume-key is gone, so the encrypted volumes cannot be opened again" in refused(host, "kafka 1")
    assert not starts(host)
    assert changes(host) == before and not host.path(KEY_FILE).exists()
    kept.rename(host.path(KEY_FILE))
    assert starts(host)


def test_one_that_was_half_made_is_made_anew(host: Host) -> None:
    host.program("mkfs.ext4", "exit 1")
    refused(host, "kafka 1")
    assert host.path("/dev/mapper/argus.volume.kafka").is_block_device(), "it was killed there"
    (host.root / "bin/mkfs.ext4").unlink()
    make(host, "kafka 1")
    assert (host.path(ROOT) / "kafka").is_mount()


def test_any_of_the_tang_servers_opens_the_key_and_nobody_does_without(host: Host) -> None:
    make(host, "kafka 1", tang=TANG)
    assert slots(host)[0] not in host.path(KEY_FILE).read_text()
    assert len(host.path(KEY_FILE).read_text().splitlines()) == 3
    assert all(re.search(rf'"thp":"{each}{{43}}"', host.noted) for each in "TU")
    host.path("tang1").unlink()
    assert starts(host)
    host.path("tang2").unlink()
    power_cut(host)
    started = start(host, "0")
    assert started.wait(30) != 0 and started.stderr is not None
    assert "no Tang server opens" in started.stderr.read()
    assert "no Tang server opens the key of this machine's volumes" in refused(host, "kafka 1", tang=TANG)
    assert not (host.path(ROOT) / "kafka").is_mount()


def test_a_machine_that_starts_before_its_tang_server_waits_for_it(host: Host) -> None:
    make(host, "kafka 1", tang=TANG)
    power_cut(host)
    for server in ("tang1", "tang2"):
        host.path(server).unlink()
    host.program("sleep", "touch $MACHINE/waits; exec /bin/sleep 0.1")
    waiting = start(host)
    deadline = time.monotonic() + 20
    while not host.path("waits").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert waiting.poll() is None
    host.path("tang2").touch()
    assert waiting.wait(20) == 0 and (host.path(ROOT) / "kafka").is_mount()
    unit = host.path("/etc/systemd/system/argus-volumes.service").read_text()
    assert "After=network-online.target" in unit and "Timeout" not in unit


def test_other_tang_servers_are_another_key_and_one_that_does_not_answer_changes_nothing(host: Host) -> None:
    make(host, "kafka 1", tang=TANG[:1])
    former = slots(host)
    host.path("tang2").unlink()
    assert "argus:storage.encryption.tang: http://tang2 does not seal the key" in refused(host, "kafka 1", tang=TANG)
    assert slots(host) == former and starts(host)
    host.path("tang2").touch()
    make(host, "kafka 1", tang=TANG)
    sealed = slots(host)
    assert len(sealed) == 1 and sealed != former
    make(host, "kafka 1")
    assert slots(host) == [key_of(host)] != sealed
    assert starts(host)


def test_the_undo_wipes_the_header_and_the_key_and_leaves_nothing(host: Host) -> None:
    make(host, "kafka 1", tang=TANG)
    host.run("volumes_delete.sh", root=str(host.path(ROOT)))
    assert [call.split()[0] for call in host.ran("cryptsetup") if call.endswith("/kafka.img")][-1] == "erase"
    for path in (ROOT, "/var/lib/argus/disks", "/etc/argus", "/dev/mapper/argus.volume.kafka"):
        assert not host.path(path).exists()
    assert str(host.root) not in loop_devices()
