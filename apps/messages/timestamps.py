"""UTC timestamps in messages: RFC 3339 with milliseconds, `2026-11-23T22:14:55.123Z`."""

from datetime import UTC, datetime


def format_timestamp(moment: datetime) -> str:
    """The moment in UTC with milliseconds. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def parse_timestamp(text: str) -> datetime:
    """Parse what `format_timestamp` wrote. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
