"""What counts as a proof that a fault took effect, and what does not."""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from lab.config import LabError
from tests.marathon import lookup, replicas
from tests.marathon.fault import UnprovenError
from tests.marathon.full_disk import mounted
from tests.marathon.kinds import KINDS, kinds_of
from tests.marathon.machines import dropped_packets, other_end, since_renewed_s
from tests.marathon.pods import death
from tests.marathon.services import refusal
from tests.marathon.whole import JobFailedError, job_ended

AIM = {"pod": "kafka-1", "uid": "u", "id": "abc", "restarts": 2}


def pod(restarts: int, state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    status = {"name": "kafka", "restartCount": restarts, "state": state, "lastState": last or {}}
    return {"status": {"containerStatuses": [status]}}


def ended(container: str, code: int = 137) -> dict[str, Any]:
    return {"terminated": {"containerID": f"containerd://{container}", "exitCode": code}}


def test_a_container_that_runs_as_before_was_not_killed() -> None:
    assert death(pod(2, {"running": {}}, ended("an-earlier-one")), AIM) is None


def test_the_death_of_just_this_container_is_the_proof() -> None:
    for found in (
        pod(3, {"running": {}}, ended("abc")),
        pod(2, ended("abc")),
        pod(2, {"waiting": {"reason": "CrashLoopBackOff"}}, ended("abc")),
    ):
        said = death(found, AIM)
        assert said is not None and "137" in said and "kafka-1" in said


def test_an_executor_that_spark_removed_has_ended() -> None:
    assert death(None, AIM) == "kafka-1 was removed after its process ended"


def test_a_lease_says_how_long_its_kubelet_is_silent() -> None:
    now = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
    lease = {"spec": {"renewTime": (now - timedelta(seconds=42)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
    assert since_renewed_s(lease, now) == 42


LISTED = """\
Chain PREROUTING (policy ACCEPT 1 packets, 2 bytes)
    pkts      bytes target     prot opt in     out     source               destination
{}       9     1000 ACCEPT     6    --  eth0   *       0.0.0.0/0            0.0.0.0/0
"""
RULE = (
    "     {}     5000 DROP       0    --  eth0   *       0.0.0.0/0            0.0.0.0/0            "
    "statistic mode random probability 0.10000000009\n"
)


def test_dropped_packets_are_counted_from_the_rule() -> None:
    assert dropped_packets(LISTED.format(RULE.format(37))) == 37
    assert dropped_packets(LISTED.format(RULE.format(0))) == 0


def test_without_the_rule_nothing_is_proven() -> None:
    with pytest.raises(UnprovenError, match="no rule"):
        dropped_packets(LISTED.format(""))


def test_the_other_end_of_a_cable_is_found_by_its_number() -> None:
    inside = [{"ifindex": 2, "ifname": "eth0", "link_index": 9}]
    outside = [
        {"ifindex": 2, "ifname": "eth0"},
        {"ifindex": 8, "ifname": "veth1", "link_index": 2},
        {"ifindex": 9, "ifname": "veth2", "link_index": 2},
    ]
    assert other_end(inside, outside, "cp1") == "veth2"
    with pytest.raises(LabError, match="cp1"):
        other_end(inside, outside[:2], "cp1")


def answers(status: int, text: str = "") -> Callable[[], None]:
    def write() -> None:
        httpx.Response(status, text=text, request=httpx.Request("POST", "http://search")).raise_for_status()

    return write


def test_an_index_refuses_with_its_own_word() -> None:
    assert "403" in refusal(answers(403, '{"error":{"type":"cluster_block_exception"}}'), "results-motion-2026.11.29")


@pytest.mark.parametrize("write", [answers(404, "document_missing"), answers(403, "RBAC"), answers(200)])
def test_any_other_answer_proves_no_block(write: Callable[[], None]) -> None:
    with pytest.raises(UnprovenError):
        refusal(write, "results-motion-2026.11.29")


def test_a_dns_server_that_answers_is_there_and_one_that_does_not_is_away() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        def serve() -> None:
            asked, client = server.recvfrom(512)
            server.sendto(asked[:2] + b"\x81\x83" + asked[4:], client)

        thread = threading.Thread(target=serve)
        thread.start()
        assert lookup.asked("127.0.0.1", port) is None
        thread.join()
        assert "no answer" in (lookup.asked("127.0.0.1", port, tries=1, try_s=0.1) or "")
    assert "refused" in (lookup.asked("127.0.0.1", port, tries=1) or "")


def test_partitions_that_lack_a_replica_or_a_leader_are_counted() -> None:
    def partition(isrs: list[int], leader: int = 1) -> Any:
        return SimpleNamespace(replicas=[1, 2, 3], isrs=isrs, leader=leader)

    partitions = [partition([1, 2, 3]), partition([1, 2]), partition([1, 2, 3], leader=-1)]
    assert replicas.lacking({"frames": SimpleNamespace(partitions=dict(enumerate(partitions)))}) == 2


def test_a_job_that_failed_is_not_waited_for() -> None:
    def job(*conditions: str) -> dict[str, Any]:
        return {"status": {"conditions": [{"type": each, "status": "True"} for each in conditions]}}

    assert job_ended({}, "compare") == "it runs"
    assert job_ended(job("SuccessCriteriaMet", "Complete"), "compare") is None
    with pytest.raises(JobFailedError, match="compare"):
        job_ended(job("Failed"), "compare")


def test_the_uppermost_file_system_of_a_path_is_told() -> None:
    mounts = "/dev/vda /data ext4 rw 0 0\ntmpfs /mnt tmpfs rw 0 0\noverlay /data overlay rw 0 0\n"
    assert mounted(mounts, Path("/data")) == "overlay"
    assert mounted(mounts, Path("/data/x")) is None


def test_an_unknown_kind_names_all() -> None:
    with pytest.raises(LabError, match="machine-frozen"):
        kinds_of(["machine-frosen"])
    assert list(kinds_of([])) == list(KINDS)


def test_every_kind_of_the_issue_is_there() -> None:
    asked = {
        *("process-killed", "pod-deleted", "two-stages", "machine-frozen", "machine-cut-off", "machine-killed"),
        *("disk-full", "index-blocked", "clock-stepped", "packets-lost", "packets-late", "dns-away"),
    }
    assert set(KINDS) == asked
