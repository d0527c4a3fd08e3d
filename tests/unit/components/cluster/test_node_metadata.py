"""Labels and taints arrive on nodes as they are given, and go when they are no longer given."""

from collections.abc import Sequence

import pytest

from components.cluster.node_metadata import line
from tests.unit.components.cluster.conftest import Host, worker

ODD = {"example.org/rack": "", "y": "0o17", "zone": "433e40"}


def words(labels: dict[str, str] | None = None, taints: Sequence[str] = ()) -> str:
    """The annotation of a node that was given these."""
    return line(worker("worker1", "192.0.2.21", labels=labels or {}, taints=list(taints))).split(" ", 2)[2]


def changes(host: Host, before: str, labels: dict[str, str] | None = None, taints: Sequence[str] = ()) -> list[str]:
    """What is asked of kubectl where Argus set `before` earlier."""
    host.program("kubectl", f"""case "$*" in *" get node worker1 "*) printf %s '{before}' ;; esac""")
    given = line(worker("worker1", "192.0.2.21", labels=labels or {}, taints=list(taints)))
    host.run("node_metadata.sh", metadata=[given])
    asked = [call.split(" ", 2)[2] for call in host.ran("kubectl")]
    return [call for call in asked if not call.startswith("get ")]


def test_values_that_another_parser_reads_differently_arrive_as_they_are(member: Host) -> None:
    assert changes(member, "", ODD, ["gpu=0o17:NoSchedule", "spot:NoExecute"]) == [
        "label node worker1 example.org/rack= --overwrite",
        "label node worker1 y=0o17 --overwrite",
        "label node worker1 zone=433e40 --overwrite",
        "taint node worker1 gpu=0o17:NoSchedule --overwrite",
        "taint node worker1 spot:NoExecute --overwrite",
        f"annotate node worker1 --overwrite argus.dev/metadata={words(ODD, ['gpu=0o17:NoSchedule', 'spot:NoExecute'])}",
    ]


def test_a_node_that_has_them_is_left_alone(member: Host) -> None:
    assert changes(member, words(ODD, ["spot:NoExecute"]), ODD, ["spot:NoExecute"]) == []


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        (({"rack": "1"}, ()), ({}, ()), ["label node worker1 rack-"]),
        (({"rack": "1"}, ()), ({"rack": "2"}, ()), []),
        (({"rack": "1"}, ()), ({"racks": "1", "a": "rack"}, ()), ["label node worker1 rack-"]),
        (({}, ["gpu=yes:NoSchedule"]), ({}, ()), ["taint node worker1 gpu:NoSchedule-"]),
        (({}, ["gpu=yes:NoSchedule"]), ({}, ["gpu=no:NoSchedule"]), []),
        (({}, ["gpu=yes:NoSchedule"]), ({}, ["gpu:NoSchedule"]), []),
        # A node may have the key with each effect, so the earlier one does not go by itself.
        (({}, ["gpu=yes:NoSchedule"]), ({}, ["gpu=yes:NoExecute"]), ["taint node worker1 gpu:NoSchedule-"]),
        (({}, ["gpu:NoSchedule"]), ({"gpu": "NoSchedule"}, ()), ["taint node worker1 gpu:NoSchedule-"]),
    ],
)
def test_what_is_no_longer_given_goes(
    member: Host,
    before: tuple[dict[str, str], Sequence[str]],
    after: tuple[dict[str, str], Sequence[str]],
    removed: list[str],
) -> None:
    assert [call for call in changes(member, words(*before), *after) if call.endswith("-")] == removed
