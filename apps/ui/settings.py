"""The UI's settings, from the environment."""

from pathlib import Path

from pydantic import Field, field_validator

from apps.messages.names import model_of
from apps.service.elasticsearch import ElasticsearchSettings
from apps.service.settings import AskingSettings, KafkaSettings, MeasuredSettings, PeerUrls, ServerSettings, Words

MEBIBYTE = 1024**2


class Settings(ServerSettings, AskingSettings, MeasuredSettings, KafkaSettings, ElasticsearchSettings):
    """The environment of the UI."""

    probe_port: int = Field(ge=0, le=65535)
    """Where probes are answered; the page is at `http_port`."""

    frames_topic: str = Field(min_length=1)
    results_topics: Words
    consumer_urls: PeerUrls
    producer_urls: PeerUrls
    cameras: Words
    """The cameras that the wall shows from its start; others are added when they appear."""

    access_dir: Path
    """The folder with users, tokens and the key of sessions (apps/access/document.py), read again when it changes."""

    sessions_config_map: str = Field(min_length=1)
    """The ConfigMap by which the page's pods tell each other of logouts."""

    tls_dir: Path | None = None
    """The folder with tls.crt and tls.key, read again when they change; without it the page is served in plain."""

    certificates_dir: Path
    """The folder with the certificates of the whole stack, without keys, read again and again."""

    acme_dir: Path | None = None
    """The folder in which the certificate of an ACME server appears (apps/ui/acme.py); None: the stack names none."""

    standby_machines: Words
    """Spare machines of the stack, which can be added when pods do not fit."""

    patience_seconds: float = Field(default=10, gt=0)
    """A camera's newest complete frame is shown until it is this much older than the newest frame."""

    ring_bytes: int = Field(default=64 * MEBIBYTE, ge=MEBIBYTE)
    """The memory for recent images of all cameras together (bytes)."""

    @field_validator("results_topics")
    @classmethod
    def _topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            model_of(topic)
        return topics

    @property
    def page_certificate(self) -> Path | None:
        """The file with the certificate for browsers; None where the page is served in plain."""
        return None if self.tls_dir is None else self.tls_dir / "tls.crt"

    @property
    def certificates(self) -> dict[str, Path]:
        """Those of the app, and that for browsers."""
        file = self.page_certificate
        return super().certificates | ({} if file is None else {"browsers": file})

    @property
    def models(self) -> tuple[str, ...]:
        """The models whose results are read."""
        return tuple(model_of(topic) for topic in self.results_topics)
