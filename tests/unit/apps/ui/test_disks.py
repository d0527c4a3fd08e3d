"""What the page says of volumes and disks that are nearly full."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.ui import metrics
from apps.ui.disks import Filled, FullDisks, file_systems, notice

GIB = 2**30


def measured(capacity: int, used: int, *, kept: int = 0, files: float = 0.1) -> dict[str, Any]:
    """A file system of so many GiB, of which the system keeps some for itself."""
    return {
        "capacityBytes": capacity * GIB,
        "usedBytes": used * GIB,
        "availableBytes": (capacity - used - kept) * GIB,
        "inodes": 1000,
        "inodesFree": round(1000 * (1 - files)),
    }


def volume(claim: str, stats: dict[str, Any]) -> dict[str, Any]:
    return {"name": "data", "pvcRef": {"name": claim, "namespace": "argus"}, **stats}


def summary(disk: dict[str, Any], *volumes: dict[str, Any], images: dict[str, Any] | None = None) -> dict[str, Any]:
    pods = [{"podRef": {"name": "any"}, "volume": [each, {"name": "tmp", "usedBytes": 1}]} for each in volumes]
    return {"node": {"fs": disk, "runtime": {"imageFs": images or disk}}, "pods": [*pods, {"podRef": {"name": "new"}}]}


def test_a_volume_of_its_own_is_measured_by_itself() -> None:
    found = file_systems("w1", summary(measured(100, 20), volume("data-kafka-0", measured(10, 9))))
    assert [(each.pod, round(each.used, 2), each.holds) for each in found] == [("", 0.2, ()), ("kafka-0", 0.9, ())]
    assert notice(found) == (
        "The volume of kafka-0 on w1 is 90 % full: lower argus:kafka.retentionHours, or raise argus:kafka.volumeGiB."
    )


def test_folders_on_a_disk_are_that_disk() -> None:
    disk = measured(100, 85)
    volumes = [volume("data-kafka-0", disk), volume("data-consumer-1", disk)]
    found = file_systems("w1", summary(disk, *volumes))
    assert [(each.pod, each.holds) for each in found] == [("", ("consumer-1", "kafka-0"))]
    assert notice(found) == (
        "The disk of w1 is 85 % full (consumer-1, kafka-0 keep their data there): free some of it, or give it a larger "
        "disk; lower argus:consumer.retentionHours, or raise argus:consumer.volumeGiB; lower "
        "argus:kafka.retentionHours, or raise argus:kafka.volumeGiB."
    )


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (measured(100, 84), None),
        (measured(100, 85), "85 % full"),
        (measured(100, 100), "100 % full"),
        # What the system keeps for itself is not free, and not used either: 80 of 90.
        (measured(100, 80, kept=10), "88 % full"),
        (measured(100, 10, kept=60), None),
        (measured(100, 10, files=0.99), "99 % full"),
        ({**measured(100, 10), "inodes": 0}, None),
    ],
)
def test_it_is_said_from_85_percent_of_bytes_or_files(stats: dict[str, Any], said: str | None) -> None:
    line = notice(file_systems("w1", summary(stats)))
    assert line is None if said is None else said in (line or "")


def test_images_on_a_disk_of_their_own_are_a_disk_more() -> None:
    # A kubelet says what images use, which is less than what is used of their disk.
    images = {**measured(50, 45), "usedBytes": 3 * GIB}
    found = file_systems("w1", summary(measured(100, 10), volume("data-kafka-0", measured(50, 45)), images=images))
    assert [(round(each.used, 1), each.holds) for each in found] == [(0.1, ()), (0.9, ("kafka-0",))]


def test_the_fullest_comes_first() -> None:
    line = notice([Filled(machine="w1", used=0.86), Filled(machine="w2", pod="zookeeper-1", used=0.97)])
    assert line is not None
    assert line.startswith(
        "The volume of zookeeper-1 on w2 is 97 % full: raise argus:zookeeper.volumeGiB. The disk of w1"
    )


@pytest.mark.parametrize(
    "answer", [{}, [], {"node": {}}, {"node": {"fs": {}}}, {"node": None}, summary(measured(0, 0))]
)
def test_what_is_no_measurement_is_not_taken_for_one(answer: Any) -> None:
    with pytest.raises(ValueError):
        file_systems("w1", answer)


def node(name: str, address: str | None) -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name}, "status": {"addresses": addresses if address else addresses[:1]}}


def test_every_node_is_asked_with_the_account_s_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers["authorization"]))
        if request.url.host == "192.0.2.12":
            raise httpx.ConnectError("no route")
        if request.url.host == "192.0.2.13":
            return httpx.Response(403, text="Forbidden")
        return httpx.Response(200, json=summary(measured(100, 90), volume("data-kafka-0", measured(10, 5))))

    async def watch() -> list[str | None]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            shown = FullDisks(tmp_path, client)
            nodes = [node(f"w{n}", f"192.0.2.1{n}") for n in (1, 2, 3)]
            await shown.take([*nodes, node("w4", None)])
            said = [shown.notice]
            await shown.take(nodes[1:])
            return [*said, shown.notice]

    first, second = asyncio.run(watch())
    assert asked[:3] == [(f"https://192.0.2.1{n}:10250/stats/summary", "Bearer secret") for n in (1, 2, 3)]
    assert first is not None and first.startswith("The disk of w1 is 90 % full")
    assert second is None
    # A machine that does not answer any more has no figure that stays.
    assert [sample for metric in metrics.DISK_USED.collect() for sample in metric.samples] == []


def test_outside_a_cluster_there_is_no_notice(tmp_path: Path) -> None:
    shown = FullDisks(tmp_path)
    asyncio.run(shown.run())
    assert shown.notice is None
