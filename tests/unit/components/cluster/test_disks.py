"""Volumes that do not fit on their machine's disk are refused, with the sum; what is there already counts."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster.disks import VOLUMES_ROOT, Disks, problem
from components.cluster.preflight import Preflight, PreflightError
from tests.unit.components.answers import printed
from tests.unit.components.cluster.conftest import (
    FOLDER,
    cluster_args,
    cluster_section,
    machine,
    machines,
    preflight_args,
)
from tests.unit.components.cluster.test_preflight import FACTS
from tests.unit.components.conftest import Recorder

ARGS = replace(
    cluster_args(
        machines=machines([machine("cp1", "192.0.2.11")]), cluster=cluster_section(schedulePodsOnControlPlanes=True)
    ),
    volumes_gib={"zookeeper": 1, "kafka": 200, "elasticsearch": 200, "consumer": 500},
)
TOTAL = 901


def machine_with(free_gib: int, *volumes: str, member: bool = False, system: str = "1", size_gib: int = 2000) -> Disks:
    """A machine whose volumes are on device 1, and its images and records on `system`."""
    sizes = f"{size_gib * 1024} {free_gib * 1024}"
    folders = ("/var/lib", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet")
    return Disks(
        disks=[f"{VOLUMES_ROOT} 1 {sizes}", *(f"{path} {system} {sizes}" for path in folders)],
        volumes=volumes,
        member=member,
    )


def test_volumes_that_do_not_fit_are_refused_with_sum_names_and_remedy() -> None:
    found = problem(machine_with(30), ARGS)
    assert found == (
        "its volumes do not fit: 901 GiB (consumer 500, kafka 200, elasticsearch 200, zookeeper 1) and 20 GiB for "
        "/var/lib, /var/lib/containerd, /var/lib/etcd, /var/lib/kubelet on the same disk, where 30 of 2000 GiB are "
        "free: lower argus:zookeeper.volumeGiB, argus:kafka.volumeGiB, argus:elasticsearch.volumeGiB, "
        "argus:consumer.volumeGiB, or give /var/lib/argus/volumes a larger disk"
    )


@pytest.mark.parametrize(
    ("there", "fits"),
    [
        (machine_with(TOTAL + 20), True),
        (machine_with(TOTAL + 19), False),
        # A disk of its own for the volumes need hold nothing else.
        (machine_with(TOTAL, system="2"), True),
        (machine_with(TOTAL - 1, system="2"), False),
        # The images of a member are there already; its kubelet needs 2 GiB free.
        (machine_with(TOTAL + 2, member=True), True),
        (machine_with(TOTAL + 1, member=True), False),
        # What its volumes hold is theirs, and a volume that is over its size needs nothing more.
        (machine_with(3, "kafka 1 204800", "elasticsearch 1 204800", "consumer 1 512000", member=True), True),
        (machine_with(2, "kafka 1 204800", "elasticsearch 1 204800", "consumer 1 512000", member=True), False),
        (machine_with(3, "kafka 1 204800", "elasticsearch 1 204800", "consumer 1 900000", member=True), True),
        (machine_with(203, "elasticsearch 1 204800", "consumer 1 900000", member=True), True),
        # Other folders there are nobody's.
        (machine_with(30, "photographs 1 900000"), False),
        # One that takes long to measure is large.
        (machine_with(403, "consumer 1 -", member=True), True),
        (machine_with(402, "consumer 1 -", member=True), False),
    ],
)
def test_what_is_there_counts_and_what_shares_the_disk(there: Disks, fits: bool) -> None:
    assert (problem(there, ARGS) is None) is fits


def test_nothing_is_asked_where_argus_makes_no_volumes() -> None:
    assert problem(machine_with(0), replace(ARGS, volumes_gib={})) is None


def run(mocks: Recorder, stdout: str, *, preview: bool = False, **args: Any) -> None:
    mocks.outputs["command:remote:Command"] = lambda name, inputs: {"stdout": stdout} if stdout else {}
    given = preflight_args(cluster={"schedulePodsOnControlPlanes": True}, volumes_gib=ARGS.volumes_gib, **args)
    mocks.run(lambda: Preflight("preflight", given).passed["cp1"], preview=preview)


def test_they_are_refused_before_anything_is_touched(pulumi_mocks: Recorder) -> None:
    with pytest.raises(PreflightError, match=r"no machine was changed, because\n  cp1 .*do not fit: 901 GiB"):
        run(pulumi_mocks, printed(json.dumps(FACTS)))


def test_a_preview_judges_by_what_the_machine_answered_last(pulumi_mocks: Recorder) -> None:
    def recorded(free: int) -> dict[str, Any]:
        return {"192.0.2.11": vars(machine_with(free, member=True))}

    run(pulumi_mocks, "", preview=True)
    run(pulumi_mocks, "", preview=True, disks=recorded(TOTAL + 2))
    with pytest.raises(PreflightError, match=r"cp1 \(192\.0\.2\.11\): its volumes do not fit: 901 GiB"):
        run(pulumi_mocks, "", preview=True, disks=recorded(30))


def test_another_size_asks_a_member_again(pulumi_mocks: Recorder) -> None:
    def digest(gib: int) -> str:
        pulumi_mocks.resources.clear()
        pulumi_mocks.run(lambda: Preflight("preflight", preflight_args(volumes_gib={"kafka": gib})), preview=True)
        return str(pulumi_mocks.named("preflight-cp1").inputs["stdin"]).partition(" ")[2]

    assert digest(8) == digest(8) != digest(9)


def test_the_machine_tells_its_file_systems_and_volumes(tmp_path: Path) -> None:
    volumes = tmp_path / "argus" / "volumes"
    functions = (FOLDER / "facts.sh").read_text().partition("\ncat <<FACTS")[0].partition("\nquoted()")
    script = f"set -euo pipefail\nVOLUMES={volumes}\nquoted(){functions[2]}\ndisks\necho ---\nvolumes\n"

    def told() -> tuple[list[str], list[str]]:
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        first, second = done.stdout.split("---\n")
        return first.splitlines(), second.splitlines()

    there, none = told()
    assert none == []
    assert [line.split()[0] for line in there][:2] == ["/var/lib", str(volumes)]
    device, size, free = map(int, there[1].split()[1:])
    assert device == tmp_path.stat().st_dev
    assert 0 < free < size == round(os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize / 2**20)

    (volumes / "kafka").mkdir(parents=True)
    (volumes / "kafka" / "log").write_bytes(b"x" * 3 * 2**20)
    (volumes / "consumer").mkdir()
    measured = {line.split()[0]: int(line.split()[2]) for line in told()[1]}
    # What a file takes on the disk is rounded up.
    assert measured.keys() == {"consumer", "kafka"} and measured["consumer"] <= 1 and measured["kafka"] in (3, 4)
