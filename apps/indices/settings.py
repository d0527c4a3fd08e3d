"""The jobs' settings, from the environment."""

from pathlib import Path

from pydantic import Field

from apps.service.elasticsearch import ElasticsearchSettings
from apps.service.settings import AskingSettings, KafkaSettings, MeasuredSettings, PeerUrls, Words


class RetentionSettings(ElasticsearchSettings):
    """The environment of the retention job."""

    retention_days: int = Field(ge=1)
    """For results and refused ones."""
    audit_retention_days: int = Field(ge=1)
    """For the audit log, whether or not the stack sends it now."""


class CountersSettings(MeasuredSettings):
    """The environment of what stands beside each Filebeat."""

    probe_port: int = Field(ge=0, le=65535)
    """Where probes are answered, in plain."""
    filebeat_port: int = Field(ge=1, le=65535)
    """Where Filebeat answers, inside its pod alone."""


class ComparisonSettings(ElasticsearchSettings, AskingSettings, KafkaSettings):
    """The environment of the comparison of Kafka, disk and index."""

    frames_topic: str = Field(min_length=1)
    results_topics: Words
    consumer_urls: PeerUrls
    hours: float | None = Field(default=None, gt=0)
    """Compare the results of this many hours; unset: all since the last comparison that left nothing open."""
    report_file: Path = Path("/dev/termination-log")
    """Where the report is written: Kubernetes keeps this file in the pod's status."""
