"""The consumer's settings, from the environment."""

import socket
from pathlib import Path

from pydantic import Field

from apps.service.settings import AnsweringSettings, KafkaSettings, Words


class Settings(AnsweringSettings, KafkaSettings):
    """The environment of one consumer."""

    frames_topic: str = Field(min_length=1)
    results_topics: Words
    """The results topics to store beside the frames."""
    consumer_group: str = Field(min_length=1)
    consumer_member: str = Field(default_factory=socket.gethostname, min_length=1)
    """The group's static member: a StatefulSet's pod keeps its host name, and so its partitions, over a restart."""

    data_dir: Path
    retention_hours: int = Field(ge=1)
    max_disk_bytes: int = Field(ge=1)
    retention_seconds: float = Field(default=60, gt=0)
    """How often retention runs."""

    batch_seconds: float = Field(default=1, gt=0)
    batch_records: int = Field(default=500, ge=1, le=5000)
    """A batch is committed after this long or this many records. Each record keeps a file open until then."""
