"""`python -m apps.indices.compare` compares the results in Kafka, on disk and in the index, and adds what is missing.

Filebeat gives up a result that its index refuses, for example while the index is blocked. So this job looks for every
result that Filebeat has shipped or a consumer has stored. What the index lacks is sent again; what it refuses again is
set aside, in an index of its own, from which every run sends it.

Results that the consumers took from Kafka and that are on no disk, and the frames of such results, are stored again by
a consumer, which reads them from Kafka anew (apps/consumer/again.py).

Nothing is lost while Elasticsearch refuses even that: the job remembers in Kafka how far it has compared, and goes on
only when everything before is in the index or set aside.
"""

import itertools
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from confluent_kafka import KafkaException

from apps.indices import Search, archive
from apps.indices.archive import Stored
from apps.indices.documents import Documents, Record, chunks
from apps.indices.identities import Identities, Slot
from apps.indices.results_log import Place, ResultsLog, Window
from apps.indices.settings import ComparisonSettings
from apps.messages import UNREADABLE, format_timestamp, hour_of, result_from_json
from apps.messages.report import Report
from apps.service.peer import Client
from apps.service.process import run

NAMED = 100
"""The most results of one kind that the log names."""

STORED_AT_ONCE: Final = 100
"""The records that a consumer is asked to store at once: with the largest frames, it has a minute for 100 MB."""

STORED: Final = "stored"
NOT_MISSING: Final = (STORED, "expired", "removed", "rejected")
"""What a consumer says of a record that is not missing on its disk, or not any more (apps/consumer/again.py)."""

logger = logging.getLogger("apps.indices.compare")

Lacking = dict[Slot, set[int]]
"""The sequences of results that are missing somewhere, by slot."""


class Absent(NamedTuple):
    """A frame or result that is on no disk, and the topic, partition and offset of its record."""

    lacking: Lacking
    slot: Slot
    sequence: int
    record: tuple[str, int, int]


@dataclass(kw_only=True)
class InKafka:
    """The results of a window."""

    seen: Identities = field(default_factory=Identities)
    shipped: Identities = field(default_factory=Identities)
    """Those that Filebeat has shipped or given up."""
    stored: Identities = field(default_factory=Identities)
    """Those that the consumers have stored."""
    unreadable: int = 0


def not_indexed(kafka: InKafka, disk: Identities, index: Identities, refused: Identities) -> Lacking:
    """The results that the index lacks: shipped or on disk, not on their way, not in the index and not set aside."""
    found: Lacking = {}
    for slot in kafka.shipped.slots | disk.slots:
        expected = kafka.shipped.of(slot) | (disk.of(slot) - kafka.seen.of(slot))
        if lacking := expected - index.of(slot) - refused.of(slot):
            found[slot] = lacking
    return found


def not_on_disk(kafka: InKafka, disks: Stored) -> Lacking:
    """The results that the consumers have taken from Kafka and that are on no disk, but should be."""
    slots = [slot for slot in kafka.stored.slots if not disks.was_to_go(slot)]
    return {slot: lacking for slot in slots if (lacking := kafka.stored.of(slot) - disks.results.of(slot))}


def frames_not_on_disk(kafka: InKafka, disks: Stored) -> Lacking:
    """The frames of the results that the consumers have taken, whichever of them are on no disk, but should be."""
    expected: Lacking = {}
    for slot in kafka.stored.slots:
        if not disks.was_to_go(slot):
            expected.setdefault(slot.frames, set()).update(kafka.stored.of(slot))
    return {slot: lacking for slot, all_ in expected.items() if (lacking := all_ - disks.frames.of(slot))}


def size(lacking: Lacking) -> int:
    """The number of results."""
    return sum(map(len, lacking.values()))


def names(lacking: Lacking) -> str:
    """The names of the results, at most NAMED, for the log."""
    found = (slot.name(sequence) for slot in sorted(lacking) for sequence in sorted(lacking[slot]))
    more = size(lacking) - NAMED
    return ", ".join(itertools.islice(found, NAMED)) + (f" and {more} more" if more > 0 else "")


class Comparison:
    """One run."""

    def __init__(self, settings: ComparisonSettings, log: ResultsLog, now: datetime) -> None:
        self._settings, self._log, self._now = settings, log, now
        self._documents = Documents(Search.of(settings))
        self._pod = Client.of(settings)
        self._waiting: Counter[str] = Counter()
        """How many results are neither in the index nor set aside, by the reason."""
        self.report = Report(at=format_timestamp(now))

    def run(self) -> None:
        """Compare, send, and remember how far. Raises OSError, ValueError or KafkaException if a side is silent."""
        report = self.report
        report.sent = self._documents.send_refused()
        window = self._window()
        report.since = None if window.since is None else format_timestamp(window.since)
        report.expired = window.expired
        kafka = self._in_kafka(window)
        hours = self._hours(window, kafka)
        stored = archive.stored(self._settings.consumer_urls, hours, self._pod)
        # After Kafka and the disks: what these had, and what was shipped by then, must be in the index now.
        self._documents.refresh()
        index, refused = self._documents.indexed(hours), self._documents.refused()
        report.kafka, report.disk, report.index = len(kafka.seen), len(stored.results), len(index)
        report.on_their_way = report.kafka - len(kafka.shipped)
        report.unreadable, report.unanswered = kafka.unreadable, stored.unanswered
        if not stored.unanswered:
            self._complete_disks(kafka, stored, window)
        lacking = not_indexed(kafka, stored.results, index, refused)
        self._leave_newer(lacking, kafka, window)
        if lacking:
            logger.warning("not in the index: %s", names(lacking))
            self._send(lacking, window)
        self._tell(lacking)
        if not report.waiting and self._settings.hours is None:
            self._log.commit({place: min(window.shipped[place], end) for place, end in window.ends.items()}, self._now)

    def _complete_disks(self, kafka: InKafka, disks: Stored, window: Window) -> None:
        """Let the consumers store what is on no disk, and count what is not on one afterwards."""
        results, frames = not_on_disk(kafka, disks), frames_not_on_disk(kafka, disks)
        for what, lacking in (("results", results), ("frames", frames)):
            if lacking:
                logger.warning("%s in Kafka and on no disk: %s", what, names(lacking))
        records = itertools.chain(self._results_at(results, window), self._frames_at(frames, window))
        while chunk := list(itertools.islice(records, STORED_AT_ONCE)):
            self._store_again(chunk, disks)
        self.report.not_on_disk, self.report.frames_not_on_disk = size(results), size(frames)

    def _results_at(self, lacking: Lacking, window: Window) -> Iterator[Absent]:
        """Where in Kafka these results are."""
        if lacking:
            for place, offset, value in self._log.records(window.starts, window.ends):
                try:
                    result = result_from_json(value)
                except UNREADABLE:
                    continue
                slot = Slot.of(result)
                if offset < window.stored[place] and result.sequence in lacking.get(slot, ()):
                    yield Absent(lacking, slot, result.sequence, (*place, offset))

    def _frames_at(self, lacking: Lacking, window: Window) -> Iterator[Absent]:
        """Where in Kafka these frames are. Those that the consumers have not taken yet are taken out."""
        if lacking:
            first = min(_begin(slot.hour) for slot in lacking)
            for place, offset, slot, sequence in self._log.frames(first):
                if sequence not in lacking.get(slot, ()):
                    continue
                if offset < window.stored_frames.get(place, 0):
                    yield Absent(lacking, slot, sequence, (*place, offset))
                else:
                    _take_out(lacking, slot, sequence)

    def _store_again(self, records: Sequence[Absent], disks: Stored) -> None:
        """Let each record be stored by the consumer that has its camera, and take out what is not missing any more."""
        by_consumer: dict[str, list[Absent]] = {}
        for each in records:
            consumer = disks.holders.get(each.slot.camera, self._settings.consumer_urls[0])
            by_consumer.setdefault(consumer, []).append(each)
        for consumer, mine in by_consumer.items():
            try:
                outcomes = archive.store_again(consumer, [each.record for each in mine], self._pod)
            except (OSError, ValueError) as error:
                logger.warning("%s has not stored records again: %s", consumer, error)
                continue
            for each, outcome in zip(mine, outcomes, strict=True):
                if outcome in NOT_MISSING and _take_out(each.lacking, each.slot, each.sequence):
                    self.report.stored_again += outcome == STORED
            for outcome, count in Counter(outcomes).items():
                logger.info("%s: %d records of Kafka that were on no disk: %s", consumer, count, outcome)

    def _window(self) -> Window:
        if self._settings.hours is None:
            return self._log.window()
        begin = (self._now - timedelta(hours=self._settings.hours)).replace(minute=0, second=0, microsecond=0)
        return self._log.window(begin)

    def _in_kafka(self, window: Window) -> InKafka:
        found = InKafka()
        first = "" if self._settings.hours is None or window.since is None else hour_of(window.since)
        for place, offset, value in self._log.records(window.starts, window.ends):
            try:
                result = result_from_json(value)
            except UNREADABLE as error:
                found.unreadable += 1
                logger.warning("%s[%d]@%d is no result: %.200s", *place, offset, error)
                continue
            slot = Slot.of(result)
            if slot.hour < first:
                continue
            found.seen.add(slot, result.sequence)
            if offset < window.shipped[place]:
                found.shipped.add(slot, result.sequence)
            if offset < window.stored[place]:
                found.stored.add(slot, result.sequence)
        return found

    def _hours(self, window: Window, kafka: InKafka) -> set[str]:
        """The hours to compare: those of the results in Kafka, and all since the window's time.

        The latter matter where Kafka has deleted records that were not compared yet, and a disk still has them.
        """
        hours, moment = set(kafka.seen.hours), window.since
        while moment is not None and hour_of(moment) <= hour_of(self._now):
            hours.add(hour_of(moment))
            moment += timedelta(hours=1)
        return hours

    def _leave_newer(self, lacking: Lacking, kafka: InKafka, window: Window) -> None:
        """Take out what came into Kafka and to a disk while this run was reading: it is on its way."""
        if any(sequences - kafka.seen.of(slot) for slot, sequences in lacking.items()):
            for record in self._wanted(lacking, window.ends, self._log.ends()):
                if record.result.sequence not in kafka.shipped.of(Slot.of(record.result)):
                    _remove(lacking, record)

    def _send(self, lacking: Lacking, window: Window) -> None:
        """Send what is lacking, from Kafka where it is there, else from a disk; set aside what is refused again.

        What is done is taken out of `lacking`. Where Elasticsearch takes nothing of a chunk in either way, the rest is
        left to the next run.
        """
        in_kafka = self._wanted(lacking, window.starts, window.ends)
        for chunk in chunks(itertools.chain(in_kafka, self._on_disk(lacking))):
            refused = _refused(chunk, self._documents.send(chunk))
            left = _refused(list(refused), self._documents.set_aside(refused, self._now))
            for record in chunk:
                if record not in left and _remove(lacking, record) and record not in refused:
                    self.report.sent += 1
            self._waiting.update(left.values())
            if len(left) == len(chunk):
                return

    def _wanted(self, lacking: Lacking, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[Record]:
        """The records in Kafka of what is lacking."""
        if not lacking:
            return
        for _, _, value in self._log.records(starts, ends):
            try:
                result = result_from_json(value)
            except UNREADABLE:
                continue
            if result.sequence in lacking.get(Slot.of(result), ()):
                yield Record.of(value)

    def _on_disk(self, lacking: Lacking) -> Iterator[Record]:
        """The records on the consumers' disks of what is lacking, looked at when all of Kafka's were sent."""
        for slot, sequences in list(lacking.items()):
            for sequence in list(sequences):
                value = archive.fetch(self._settings.consumer_urls, slot, sequence, self._pod)
                if value is None:
                    self.report.gone += 1
                else:
                    yield Record.of(value)

    def _tell(self, lacking: Lacking) -> None:
        """Complete the report with what is not searchable after this run, and name it in the log."""
        report = self.report
        if lacking:
            logger.error("still not in the index and not set aside: %s", names(lacking))
        report.waiting = size(lacking) - report.gone
        # What was set aside just now counts too.
        self._documents.refresh()
        report.refused = len(self._documents.refused())
        reasons, oldest = self._documents.why_refused()
        if (unknown := report.waiting - self._waiting.total()) > 0:
            # Those that were not tried any more.
            (reason, _), *_ = self._waiting.most_common(1) or [("not tried", 0)]
            self._waiting[reason] += unknown
        first = min((_begin(slot.hour) for slot in lacking), default=None)
        report.tell(min(filter(None, (oldest, first)), default=None), reasons + self._waiting)


def _refused(records: Sequence[Record], reasons: Sequence[str | None]) -> dict[Record, str]:
    return {record: reason for record, reason in zip(records, reasons, strict=True) if reason is not None}


def _remove(lacking: Lacking, record: Record) -> bool:
    """Take a result out. Returns whether it was in."""
    return _take_out(lacking, Slot.of(record.result), record.result.sequence)


def _take_out(lacking: Lacking, slot: Slot, sequence: int) -> bool:
    sequences = lacking.get(slot, set())
    if sequence not in sequences:
        return False
    sequences.remove(sequence)
    if not sequences:
        del lacking[slot]
    return True


def _begin(hour: str) -> datetime:
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def work(settings: ComparisonSettings) -> int:
    """Returns the process's exit status: 1 if a result is not searchable, or if there is no comparison."""
    log = ResultsLog(settings.kafka_connection, settings.results_topics, settings.frames_topic)
    comparison = Comparison(settings, log, datetime.now(UTC))
    report = comparison.report
    try:
        comparison.run()
    except (OSError, ValueError, KafkaException) as error:
        logger.exception("the comparison was given up")
        report.error = f"{type(error).__name__}: {error}"
    finally:
        log.close()
    for line in report.lines():
        logger.info("%s", line)
    settings.report_file.write_text(report.json(), encoding="utf-8")
    return 1 if report.error is not None or report.not_searchable else 0


if __name__ == "__main__":
    sys.exit(run(ComparisonSettings, work))
