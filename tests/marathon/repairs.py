"""What the comparisons of Kafka, disk and index have mended meanwhile: a sink that lacked something is whole then."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from apps.messages.report import Report
from tests.e2e.cluster import ClusterClient

_COMPARISONS = "app.kubernetes.io/name=comparison"


@dataclass
class Repairs:
    """The reports of the comparisons that have ended since a moment. One thread may look while another shows."""

    cluster: ClusterClient
    earlier: frozenset[str] = frozenset()
    reports: dict[str, Report] = field(default_factory=dict)
    """By the uid of the pod, which Kubernetes removes after the next ones."""

    @classmethod
    def since_now(cls, cluster: ClusterClient) -> Self:
        """Of those that end from now on. Raises httpx.HTTPError."""
        return cls(cluster, frozenset(ended(cluster.pods(_COMPARISONS))))

    def look(self) -> None:
        """Read the reports that are there. Raises httpx.HTTPError."""
        found = ended(self.cluster.pods(_COMPARISONS))
        self.reports.update((uid, report) for uid, report in found.items() if uid not in self.earlier)

    def shown(self) -> str:
        """A line of what was missing somewhere, and is there again."""
        reports = list(self.reports.values())
        return (
            f"{len(reports)} comparisons sent {sum(each.sent for each in reports)} results again and had "
            f"{sum(each.stored_again for each in reports)} files stored again"
        )


def ended(pods: list[dict[str, Any]]) -> dict[str, Report]:
    """The reports of these pods by their uid, of those that have ended with one."""
    found: dict[str, Report] = {}
    for pod in pods:
        for status in pod["status"].get("containerStatuses", ()):
            said = status["state"].get("terminated", {}).get("message")
            # One that was killed leaves none, or a part.
            with suppress(ValueError):
                if said:
                    found[pod["metadata"]["uid"]] = Report.from_json(said)
    return found
