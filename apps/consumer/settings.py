"""The consumer's settings, read from the environment."""

import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.messages import CONSUMER_GROUP, FRAMES_TOPIC

GIBIBYTE = 1024**3


class Settings(BaseSettings):
    """Each field is the variable `ARGUS_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="ARGUS_", frozen=True)

    kafka_bootstrap_servers: str = Field(min_length=1)
    frames_topic: str = FRAMES_TOPIC
    results_topics: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated: the topics of results to store beside the frames."""
    consumer_group: str = CONSUMER_GROUP
    consumer_member: str = Field(default_factory=socket.gethostname, min_length=1)
    """The static member of the group: a StatefulSet's pod keeps its host name, so its partitions, over a restart."""

    data_dir: Path = Path("/data")
    retention_hours: int = Field(default=48, ge=1)
    max_disk_bytes: int = Field(default=8 * GIBIBYTE, ge=1)
    retention_seconds: float = Field(default=60, gt=0)
    """How often retention runs."""

    batch_seconds: float = Field(default=1, gt=0)
    batch_records: int = Field(default=500, ge=1, le=5000)
    """A batch is made durable and committed after this long or this many records. Each record holds a file open."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    log_level: str = "INFO"

    @field_validator("results_topics", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
