"""The names that stages share: topics, consumer groups, indices, cameras and models."""

import re
from datetime import date

NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
"""A camera's or model's name: a DNS label of at most 40 characters. It becomes a host, pod, topic or file name."""

NAME = re.compile(NAME_PATTERN)

FRAMES_TOPIC = "frames"
REJECTED_TOPIC = "rejected"

CONSUMER_GROUP = "consumer"
FILEBEAT_GROUP = "filebeat"
COMPARISON_GROUP = "comparison"
"""The group whose offsets say how far the results in Kafka have been compared with those in the index."""
UI_GROUP = "ui"
"""The group that the page's client names; it joins none."""

RESULT_INDICES = "results-*"
REFUSED_INDICES = "refused-*"
"""Where results are kept that their own index refuses."""

AUDIT_INDICES = "audit-*"
"""Where the API servers' audit log is, if the stack sends it there."""

IDENTITY_FIELD = "event.id"
"""The field of a result's document with its `result_id`."""

FILEBEAT = "filebeat"
COMPARISON = "comparison"
"""The names of the pods, by which the page finds their counters and reports (`app.kubernetes.io/name`)."""

METRICS_HOST = "argus-metrics"
"""The name in the certificate that every pod shows those who ask for its metrics, whatever its address is (ADR 57)."""
METRICS_PORT_NAME = "metrics"
"""The name of the port where it does, by which Prometheus and the page find it."""
FILEBEAT_EVENTS = "argus_filebeat_output_events"
"""The metric with a Filebeat's counters of events at its output, by their `kind`."""
FILEBEAT_EVENT_KINDS = ("acked", "active", "dead_letter", "dropped", "duplicates", "failed", "toomany")

_RESULTS = "results."
_INDEX = re.compile(rf"(results-{NAME_PATTERN}|refused|audit)-(?P<day>\d{{4}}\.\d{{2}}\.\d{{2}})")


STORE_AGAIN = "/store-again"
"""The path at which a consumer is told which records of Kafka to store again."""


def results_topic(model: str) -> str:
    """The topic of a model's results."""
    return f"{_RESULTS}{model}"


def model_of(topic: str) -> str:
    """The model of a results topic. Raises ValueError for any other topic."""
    if not topic.startswith(_RESULTS):
        raise ValueError(f"{topic!r} does not start with {_RESULTS!r}, so it names no model")
    return topic.removeprefix(_RESULTS)


def model_group(model: str) -> str:
    """The consumer group of a model's job."""
    return f"spark.{model}"


def results_index(model: str, day: str) -> str:
    """The index of a model's results of one day (`2026.11.23`)."""
    return f"results-{model}-{day}"


def refused_index(day: str) -> str:
    """The index of the results that were refused on a day (`2026.11.23`)."""
    return f"refused-{day}"


def audit_index(day: str) -> str:
    """The index of the audit log of one day (`2026.11.23`)."""
    return f"audit-{day}"


def day_of(index: str) -> date | None:
    """The day of an index of results, of refused ones, or of the audit log; None for any other index."""
    found = _INDEX.fullmatch(index)
    try:
        return found and date(*map(int, found["day"].split(".")))
    except ValueError:
        return None
