"""The report of one comparison of Kafka, disk and index: for a log, and as JSON for the page."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Self

MOST_BYTES = 4_000
"""Kubernetes keeps 4096 bytes of a pod's message."""

SHOWN_REASONS = 5


@dataclass(kw_only=True)
class Report:
    """What a comparison found. Numbers are of results; times are as in messages."""

    at: str
    """When the comparison began."""
    since: str | None = None
    """From when on results were compared; None: all that Kafka has."""
    kafka: int = 0
    on_their_way: int = 0
    """Of those in Kafka, the ones that Filebeat has not shipped yet."""
    disk: int = 0
    index: int = 0
    sent: int = 0
    """Missing in the index, and sent to it by this comparison."""
    refused: int = 0
    """Refused by their index, and set aside."""
    waiting: int = 0
    """Missing in the index and not set aside, because Elasticsearch refuses that too; Kafka or a disk has them."""
    gone: int = 0
    """Missing in the index and not found any more, in Kafka or on disk."""
    expired: int = 0
    """Records that Kafka deleted before they were compared."""
    unreadable: int = 0
    """Records in Kafka that are no results."""
    not_on_disk: int | None = None
    """In Kafka, taken by the consumers, and not on their disks, after this comparison. None where a consumer does not
    answer. What retention removes, for its age or for lack of space, does not count."""
    frames_not_on_disk: int | None = None
    """The same of the frames of these results, whether or not Kafka still has them."""
    stored_again: int = 0
    """Frames and results that were on no disk, and that a consumer has stored again at this comparison's request."""
    unanswered: list[str] = field(default_factory=list)
    """Consumers that do not answer."""
    oldest: str | None = None
    """The time of the oldest result that is not searchable."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why results are not searchable, the most frequent reason first."""
    error: str | None = None
    """Why there is no comparison."""

    @property
    def not_searchable(self) -> int:
        """Results that a search does not find, and that are not on their way."""
        return self.refused + self.waiting + self.gone

    def tell(self, oldest: datetime | None, reasons: Counter[str]) -> None:
        """Take over why results are not searchable."""
        self.oldest = None if oldest is None else oldest.astimezone(UTC).isoformat(timespec="seconds")
        self.reasons = dict(reasons.most_common(SHOWN_REASONS))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `json` wrote, also of a later version, which may say more. Raises ValueError for anything else."""
        said = json.loads(text)
        known = {each.name for each in fields(cls)}
        try:
            report = cls(**{name: value for name, value in said.items() if name in known})
            datetime.fromisoformat(report.at)
            int(report.not_searchable)
        except (TypeError, AttributeError) as malformed:
            raise ValueError(f"not a report: {malformed}") from malformed
        return report

    def json(self) -> str:
        """The report as JSON of at most MOST_BYTES."""
        shown = asdict(self)
        while len(text := json.dumps(shown)) > MOST_BYTES:
            # The most frequent reasons are the first ones.
            if shown["reasons"]:
                shown["reasons"].popitem()
            elif shown["unanswered"]:
                shown["unanswered"].pop()
            else:
                shown["error"] = shown["error"][: len(shown["error"]) // 2]
        return text

    def lines(self) -> Iterator[str]:
        """The report for an operator."""
        if self.error is not None:
            yield f"not compared: {self.error}"
            return
        yield (
            f"results since {self.since or 'the oldest in Kafka'}: {self.kafka} in Kafka ({self.on_their_way} on their "
            f"way), {self.disk} on disk, {self.index} in the index"
        )
        yield f"{self.sent} were missing in the index and were sent to it"
        if self.not_searchable:
            yield (
                f"{self.not_searchable} are not searchable, the oldest of {self.oldest}: {self.refused} refused and "
                f"set aside, {self.waiting} waiting in Kafka or on disk, {self.gone} not found any more"
            )
        for reason, count in self.reasons.items():
            yield f"{count} x {reason}"
        if self.unreadable:
            yield f"{self.unreadable} records in Kafka are no results"
        if self.expired:
            yield f"{self.expired} records were deleted by Kafka before they were compared"
        if self.stored_again:
            yield f"{self.stored_again} frames and results were on no disk, and were stored again"
        if self.not_on_disk or self.frames_not_on_disk:
            yield (
                f"{self.not_on_disk} results in Kafka and {self.frames_not_on_disk} frames are on no disk: no consumer "
                "has room or takes them, or Kafka has them no more"
            )
        for url in self.unanswered:
            yield f"{url} does not answer: what it stores is not compared"
