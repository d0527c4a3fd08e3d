"""A node's upgrade, part by part: what is refused, what is repeated, and the order of commands to hosts."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import components
from components.cluster.preflight import Preflight, PreflightError
from components.cluster.upgrade import refusal
from components.remote import Script
from tests.unit.components.answers import SHELL
from tests.unit.components.cluster.conftest import Host, preflight_args
from tests.unit.components.host_keys import host_key

FOLDER = Path(components.__file__).parent


@pytest.mark.parametrize(
    ("running", "wanted", "reason"),
    [
        (None, "1.36.1", None),
        ("1.36.1", "1.36.1", None),
        ("1.36.1", "1.36.3", None),
        ("1.35.4", "1.36.1", None),
        ("1.9.11", "1.10.0", None),
        ("1.36.3", "1.36.1", "does not go back to 1.36.1; set 1.36.3 or newer"),
        ("1.36.1", "1.35.4", "does not go back to 1.35.4"),
        ("1.34.2", "1.36.1", "no minor version may be skipped; set 1.35.x first"),
    ],
)
def test_what_kubernetes_cannot_do_is_refused(running: str | None, wanted: str, reason: str | None) -> None:
    refused = refusal(running, wanted)
    assert (refused is None) is (reason is None)
    assert (reason or "") in (refused or "")


@pytest.mark.parametrize("preview", [True, False])
def test_it_is_refused_at_preview_before_any_machine_is_changed(pulumi_mocks: Any, preview: bool) -> None:
    args = preflight_args(running_version="1.34.2")
    with pytest.raises(
        PreflightError, match=r"no machine was changed: argus:cluster\.kubernetesVersion: .* 1\.35\.x first"
    ):
        pulumi_mocks.run(lambda: Preflight("check", args).passed["cp1"], preview=preview)


SETTLED = ["machine settings", "endpoint serving"]
"""What follows for every node, upgraded or not."""

SSH = (
    f"""#!/bin/bash
{SHELL}"""
    + """
while [[ $1 == -* ]]; do shift 2; done
echo "${1#*@} $2" >>"$SAID"
if [[ ${1#*@} == "$DEAD" ]]; then exit 255; fi
echo "Welcome. drained"
case $2 in "$FAILS") exit 1 ;; "$MUTE") ;; prepare) answer "$STATE" ;; *) answer "" ;; esac
"""
)


def said(
    folder: Path,
    *,
    state: str = "drained",
    dead: str = "",
    fails: str = "",
    mute: str = "nobody",
    joined: bool = False,
) -> tuple[int, list[str]]:
    """The exit status of a node's upgrade, and its commands with their hosts."""
    for name, text in {"ssh": SSH, "sleep": "#!/bin/sh\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    values = {"NODE": "worker1", "HOST": "machine", "ENDPOINT": "endpoint", "SSH_USER": "root", "SSH_PORT": 22}
    parts = {each.upper(): each for each in ("prepare", "upgrade", "finish", "settings", "serving")}
    files = [FOLDER / "ssh.sh", FOLDER / "cluster" / "upgrade.sh"]
    known = "\n".join(f"{host} {host_key(host)}" for host in ("machine", "endpoint"))
    environment = {
        **{"PATH": f"{folder}:{os.environ['PATH']}", "ARGUS_SSH_KEY": "key", "SAID": str(folder / "said")},
        "ARGUS_KNOWN_HOSTS": known,
        **{"STATE": state, "DEAD": dead, "FAILS": fails or "nothing", "MUTE": mute},
        "PULUMI_COMMAND_STDOUT": "" if joined else "# what the run before printed",
    }
    command = Script(files=files, values=values | parts).render()
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, check=False)
    return done.returncode, [line for line in (folder / "said").read_text().splitlines() if not line.endswith(" true")]


def test_a_node_is_drained_upgraded_and_put_back(tmp_path: Path) -> None:
    parts = ["endpoint prepare", "machine upgrade", "endpoint finish", *SETTLED]
    assert said(tmp_path) == (0, parts)


def test_a_node_that_has_its_version_gets_its_settings_only(tmp_path: Path) -> None:
    assert said(tmp_path, state="current") == (0, ["endpoint prepare", *SETTLED])


def test_a_node_that_has_just_joined_is_not_asked_for_its_version(tmp_path: Path) -> None:
    assert said(tmp_path, joined=True) == (0, SETTLED)


def test_an_answer_that_is_not_understood_does_not_mean_that_nothing_is_to_be_done(tmp_path: Path) -> None:
    assert said(tmp_path, state="") == (1, ["endpoint prepare"])


@pytest.mark.parametrize("part", ["prepare", "upgrade", "finish", "settings", "serving"])
def test_a_part_that_does_not_answer_is_the_last(tmp_path: Path, part: str) -> None:
    code, parts = said(tmp_path, mute=part)
    assert code != 0
    assert parts[-1].endswith(part)


def test_nothing_is_drained_for_a_dead_machine(tmp_path: Path) -> None:
    assert said(tmp_path, dead="machine") == (1, [])


@pytest.mark.parametrize("part", ["prepare", "upgrade", "finish", "settings", "serving"])
def test_a_part_that_fails_is_the_last(tmp_path: Path, part: str) -> None:
    code, parts = said(tmp_path, fails=part)
    assert code != 0
    assert parts[-1].endswith(part)


def kubectl(
    *, kubelet: str, server: str = "", cordoned: str = "", mark: str = "", unready: str = "", ready: str = "True"
) -> str:
    """A stand-in for kubectl with one node and its state."""
    return f"""shift 2
    case "$*" in
      *kubeletVersion*) echo "v{kubelet}|{cordoned}|{mark}" ;;
      *"get pod kube-apiserver-"*) echo "{f"registry:5000/kube-apiserver:v{server}" if server else ""}" ;;
      "get nodes"*) printf 'cp1 True\\n{unready}' ;;
      *'@.type=="Ready"'*) echo {ready} ;;
      "get persistentvolumes"*) echo 'cp2 argus data-kafka-1 Bound' ;;
      *"get statefulset"*) echo statefulset ;;
    esac"""


@pytest.fixture(autouse=True)
def _no_pauses(member: Host) -> None:
    member.program("sleep", "")


def changes(host: Host) -> list[str]:
    """The changes made by kubectl, in order."""
    asked = (call.split(" ", 2)[2] for call in host.ran("kubectl"))
    return [call for call in asked if call.startswith(("annotate", "cordon", "uncordon", "drain")) or "rollout" in call]


def prepare(host: Host) -> str:
    return host.run("upgrade_prepare.sh", node="cp2", version="1.36.1").stdout


def test_prepare_marks_and_drains(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.35.4", server="1.35.4"))
    assert prepare(member) == "drained\n"
    mark, cordon, drain = changes(member)
    assert mark == "annotate node cp2 --overwrite argus.dev/upgrade=schedulable"
    assert (cordon, drain.split(" --")[0]) == ("cordon cp2", "drain cp2")


def test_a_node_in_its_version_is_not_drained(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.36.1", server="1.36.1"))
    assert prepare(member) == "current\n"
    assert changes(member) == []


def test_an_api_server_that_is_behind_its_kubelet_is_upgraded(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.36.1", server="1.36.0"))
    assert prepare(member) == "drained\n"


def test_an_interrupted_upgrade_goes_on_although_its_node_is_down(member: Host) -> None:
    down = kubectl(kubelet="1.36.1", cordoned="true", mark="schedulable", unready="cp2 False", ready="False")
    member.program("kubectl", down)
    assert prepare(member) == "drained\n"
    assert not [change for change in changes(member) if change.startswith("annotate")]


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        (kubectl(kubelet="1.36.3"), "does not go back"),
        (kubectl(kubelet="1.34.2"), "set argus:cluster.kubernetesVersion to 1.35.x first"),
    ],
)
def test_prepare_refuses_what_kubernetes_cannot_do(member: Host, cluster: str, reason: str) -> None:
    member.program("kubectl", cluster)
    with pytest.raises(subprocess.CalledProcessError) as error:
        prepare(member)
    assert reason in error.value.stderr
    assert changes(member) == []


def test_a_node_that_dies_while_it_is_drained_stops_the_upgrade(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.35.4", ready="Unknown"))
    with pytest.raises(subprocess.CalledProcessError) as error:
        prepare(member)
    assert "cp2 died while it was drained" in error.value.stderr


def test_no_node_is_drained_while_another_is_down(member: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    member.program("kubectl", kubectl(kubelet="1.35.4", unready="cp3 Unknown"))
    moved = member.moved

    def at_once(file: str) -> Path:
        path = moved(file)
        path.write_text(path.read_text().replace("until_true 120 ", ""))
        return path

    monkeypatch.setattr(Host, "moved", lambda _, file: at_once(file))
    with pytest.raises(subprocess.CalledProcessError) as error:
        prepare(member)
    assert "cp2 is not upgraded, because not every node is ready: cp3" in error.value.stderr
    assert changes(member) == []


def finish(host: Host) -> None:
    host.run("upgrade_finish.sh", node="cp2", version="1.36.1")


def test_a_node_takes_pods_again_and_its_services_are_waited_for(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.36.1", server="1.36.1", cordoned="true", mark="schedulable"))
    finish(member)
    assert changes(member) == [
        "uncordon cp2",
        "--namespace argus rollout status statefulset/kafka --timeout=300s",
        "annotate node cp2 argus.dev/upgrade-",
    ]


def test_a_node_that_somebody_cordoned_stays_so(member: Host) -> None:
    member.program("kubectl", kubectl(kubelet="1.36.1", server="1.36.1", cordoned="true", mark="cordoned"))
    finish(member)
    assert "uncordon cp2" not in changes(member)
