"""The UI's settings, read from the environment."""

from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.messages import FRAMES_TOPIC, model_of

MEBIBYTE = 1024**2

List = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Each field is the variable `ARGUS_<FIELD>`; lists are comma-separated."""

    model_config = SettingsConfigDict(env_prefix="ARGUS_", frozen=True)

    kafka_bootstrap_servers: str = Field(min_length=1)
    frames_topic: str = FRAMES_TOPIC
    results_topics: List = ()
    elasticsearch_url: str = Field(default="http://elasticsearch:9200", pattern=r"^https?://")
    consumer_urls: List = ()
    producer_urls: List = ()
    cameras: List = ()
    """The cameras that the wall shows before it has heard of any; others join it as they appear."""

    standby_machines: List = ()
    """Spare machines of the stack, which may be brought in where pods find no room."""

    patience_seconds: float = Field(default=10, gt=0)
    """How old a camera's newest complete frame may be beside its newest frame, before that one is shown bare."""

    ring_bytes: int = Field(default=64 * MEBIBYTE, ge=MEBIBYTE)
    """The memory for recent images, shared out among the cameras."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    log_level: str = "INFO"

    @field_validator("results_topics", "consumer_urls", "producer_urls", "cameras", "standby_machines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("consumer_urls", "producer_urls")
    @classmethod
    def _urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url!r} is not an http:// or https:// URL")
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("results_topics")
    @classmethod
    def _topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            model_of(topic)
        return topics

    @property
    def models(self) -> tuple[str, ...]:
        """The models whose results are read, by their topics."""
        return tuple(model_of(topic) for topic in self.results_topics)


def describe_settings_error(error: ValidationError) -> str:
    """Every mistake on its own line, each with its variable's name."""
    lines = [f"ARGUS_{str(mistake['loc'][0]).upper()}: {mistake['msg']}" for mistake in error.errors()]
    return "\n".join(["the environment is not valid:", *lines])
