"""Settings from the environment, with errors that name the variable."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import pydantic_settings
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ARGUS_"


class SettingsError(ValueError):
    """The settings are invalid; the message names each wrong one with the reason."""


class Settings(BaseSettings):
    """An app's settings: each field is the variable `ARGUS_<FIELD>`.

    A field has a default only if no component sets it (tests/unit/components/test_contract.py), so that no default is
    in two places and a missing variable is found at the start.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, protected_namespaces=())

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def certificates(self) -> dict[str, Path]:
        """The files with the certificates that the app shows others, by who these are: `kafka`, `pods` and so on."""
        return {}


class ServerSettings(Settings):
    """Settings of an app that answers probes."""

    http_port: int = Field(ge=0, le=65535)


class MeasuredSettings(Settings):
    """Settings of an app that answers metrics, over TLS and only who shows the token for them (ADR 57)."""

    metrics_port: int = Field(ge=0, le=65535)
    metrics_dir: Path
    """The folder with `token`, tls.crt and tls.key, read again when they change."""


class PeerSettings(Settings):
    """Settings of an app that asks other pods of the stack, or answers them (apps/service/peer.py)."""

    token_file: Path
    """The file with the token by which clients show that they are the stack's."""


class AskingSettings(PeerSettings):
    """Settings of an app that asks other pods of the stack."""

    authority_file: Path
    """The certificate of the authority that signs those of the pods that answer; it is read at the start."""


class AnsweringSettings(ServerSettings, PeerSettings, MeasuredSettings):
    """Settings of an app that answers other pods of the stack at `http_port`, over TLS."""

    probe_port: int = Field(ge=0, le=65535)
    """Where probes are answered, in plain."""
    tls_dir: Path
    """The folder with tls.crt and tls.key, read again when they change."""

    @property
    def certificates(self) -> dict[str, Path]:
        """Those of the app, and that for other pods."""
        return super().certificates | {"pods": self.tls_dir / "tls.crt"}


class KafkaSettings(Settings):
    """Settings of an app that connects to Kafka."""

    kafka_bootstrap_servers: str = Field(min_length=1)
    kafka_tls_dir: Path | None = None
    """The folder with `tls.pem` (a private key and its certificate) and `ca.pem`; None: it connects in plain."""

    @property
    def kafka_connection(self) -> dict[str, str]:
        """librdkafka's settings that reach the brokers. A client reads the files when it is made."""
        connection = {"bootstrap.servers": self.kafka_bootstrap_servers}
        if self.kafka_tls_dir is not None:
            pair = str(self.kafka_tls_dir / "tls.pem")
            connection |= {
                "security.protocol": "SSL",
                "ssl.ca.location": str(self.kafka_tls_dir / "ca.pem"),
                "ssl.certificate.location": pair,
                "ssl.key.location": pair,
            }
        return connection

    @property
    def certificates(self) -> dict[str, Path]:
        """Those of the app, and that for brokers."""
        folder = self.kafka_tls_dir
        return super().certificates | ({} if folder is None else {"kafka": folder / "tls.pem"})


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _encrypted(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith("https://"):
            raise ValueError(f"{url!r} is not an https:// URL, and the token is not sent in plain")
    return tuple(url.rstrip("/") for url in urls)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A variable that is a comma-separated list."""

PeerUrls = Annotated[Words, AfterValidator(_encrypted)]
"""The URLs of other pods of the stack."""

S = TypeVar("S", bound=Settings)


def read(settings: type[S]) -> S:
    """Read the settings from this process's environment. Raises SettingsError."""
    try:
        return settings()
    except ValidationError as invalid:
        raise SettingsError(mistakes(invalid, PREFIX)) from None
    except pydantic_settings.SettingsError as unreadable:
        raise SettingsError(str(unreadable)) from unreadable


def mistakes(invalid: ValidationError, prefix: str = "") -> str:
    """One clause per mistake with its field, in capitals after a prefix; never the value, which may be secret."""
    clauses = []
    for error in invalid.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in error["loc"])
        clauses.append(f"{prefix}{place.upper() if prefix else place}: {error['msg']}")
    return "; ".join(clauses)
