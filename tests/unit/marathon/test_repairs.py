"""What comparisons mended during a run is told apart from what they did before it."""

from typing import Any

from apps.messages.report import Report
from tests.marathon.repairs import Repairs


def pod(uid: str, message: str | None = None) -> dict[str, Any]:
    state = {"running": {}} if message is None else {"terminated": {"message": message}}
    return {"metadata": {"uid": uid}, "status": {"containerStatuses": [{"state": state}]}}


def report(sent: int, stored_again: int = 0) -> str:
    return Report(at="2026-11-30T12:00:00.000Z", sent=sent, stored_again=stored_again).json()


class Cluster:
    def __init__(self, *pods: dict[str, Any]) -> None:
        self.found = list(pods)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        return self.found


def test_comparisons_since_the_beginning_are_added_up_and_each_counts_once() -> None:
    cluster: Any = Cluster(pod("a", report(99)), pod("b"))
    repairs = Repairs.since_now(cluster)
    cluster.found = [pod("a", report(99)), pod("b", report(3, 1))]
    repairs.look()
    repairs.look()
    # Kubernetes has removed the first ones.
    cluster.found = [pod("c", report(2))]
    repairs.look()
    assert repairs.shown() == "2 comparisons sent 5 results again and had 1 files stored again"


def test_a_comparison_that_was_killed_says_nothing() -> None:
    cluster: Any = Cluster()
    repairs = Repairs.since_now(cluster)
    cluster.found = [pod("a", report(3)[:20]), pod("b", ""), {"metadata": {"uid": "c"}, "status": {}}]
    repairs.look()
    assert repairs.shown().startswith("0 comparisons")
