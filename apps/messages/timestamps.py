"""UTC timestamps in messages: RFC 3339 with milliseconds, `2026-11-23T22:14:55.123Z`."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOG_APPEND_TIME: Final = 2
"""The number of this kind in Kafka's protocol."""


def format_timestamp(moment: datetime) -> str:
    """The moment in UTC with milliseconds. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    # `%Y` would not fill a year before 1000 to four digits.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Parse what `format_timestamp` wrote. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def from_milliseconds(milliseconds: int) -> datetime:
    """The time of a Kafka record in UTC. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def taken_by_kafka(timestamp: tuple[int, int]) -> datetime | None:
    """The time at which a broker took a record, from the kind and time that Kafka's client gives it.

    None where the record's time is its sender's.
    """
    kind, milliseconds = timestamp
    return from_milliseconds(milliseconds) if kind == _LOG_APPEND_TIME else None
