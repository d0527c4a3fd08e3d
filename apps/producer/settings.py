"""What a producer is told: its environment, its cameras and their credentials."""

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.messages import FRAMES_TOPIC, NAME_PATTERN

SCHEMES = ("rtsp", "rtsps", "http", "https", "file", "synthetic")

Share = Annotated[float, Field(ge=0, le=1)]


class SettingsError(ValueError):
    """The settings are unusable; the message names every key that is wrong and why."""


class Settings(BaseSettings):
    """The environment of one producer."""

    model_config = SettingsConfigDict(env_prefix="ARGUS_", frozen=True)

    kafka_bootstrap_servers: str = Field(min_length=1)
    frames_topic: str = FRAMES_TOPIC
    cameras_file: Path = Path("/etc/argus/cameras.json")
    credentials_file: Path = Path("/etc/argus-secrets/cameras.json")
    max_frame_bytes: int = Field(default=1_900_000, gt=0)
    http_port: int = Field(default=8080, ge=0, le=65535)
    peers: Annotated[tuple[tuple[str, int], ...], NoDecode] = ()
    """Where the other producers answer, and perhaps this one: `name:port`, with commas between."""
    log_level: str = "INFO"

    @field_validator("peers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.rpartition(":")[::2] for part in value.split(",") if part)
        return value


class Camera(BaseModel):
    """One camera and what is done to its frames before they leave."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    url: str
    frames_per_second: float = Field(gt=0, le=60)
    width: int = Field(default=640, ge=64, le=7680)
    jpeg_quality: int = Field(default=80, ge=1, le=100)
    grey: bool = False
    masks: tuple[tuple[Share, Share, Share, Share], ...] = ()

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"unknown scheme {parts.scheme!r}: use one of {', '.join(SCHEMES)}")
        if parts.username or parts.password:
            raise ValueError("a URL holds no user name or password: they belong in the credentials file")
        return url

    @field_validator("masks")
    @classmethod
    def _rectangles(cls, masks: tuple[tuple[float, float, float, float], ...]) -> tuple[Any, ...]:
        for x1, y1, x2, y2 in masks:
            if x1 >= x2 or y1 >= y2:
                raise ValueError(f"a mask is x1, y1, x2, y2 with x1 < x2 and y1 < y2, not {[x1, y1, x2, y2]}")
        return masks


class Credentials(BaseModel):
    """What a camera asks for before it shows anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str
    password: SecretStr


def read_settings() -> Settings:
    """The settings of this process's environment. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as invalid:
        raise SettingsError(_explain(invalid, "ARGUS_")) from None


def read_cameras(path: Path) -> tuple[Camera, ...]:
    """The cameras of a JSON file. Raises SettingsError."""
    cameras: tuple[Camera, ...] = _read(path, TypeAdapter(tuple[Camera, ...]), "ARGUS_CAMERAS_FILE")
    names = [camera.name for camera in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{path}: more than one camera is called {', '.join(twice)}")
    return cameras


def read_credentials(path: Path) -> dict[str, Credentials]:
    """The credentials of a JSON file, by the camera's name; none if there is no file. Raises SettingsError."""
    if not path.exists():
        return {}
    credentials: dict[str, Credentials] = _read(path, TypeAdapter(dict[str, Credentials]), "ARGUS_CREDENTIALS_FILE")
    return credentials


def _read(path: Path, shape: TypeAdapter[Any], key: str) -> Any:
    try:
        return shape.validate_python(json.loads(path.read_bytes()))
    except OSError as unreadable:
        raise SettingsError(f"{key}: cannot read {path}: {unreadable.strerror}") from None
    except json.JSONDecodeError as malformed:
        raise SettingsError(f"{key}: {path} is not JSON: {malformed}") from None
    except ValidationError as invalid:
        raise SettingsError(f"{key}: {_explain(invalid, '')}") from None


def _explain(invalid: ValidationError, prefix: str) -> str:
    """One clause a mistake, each with its key; never the value, which may be a secret."""
    clauses = []
    for error in invalid.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in error["loc"])
        clauses.append(f"{prefix}{place.upper() if prefix else place}: {error['msg']}")
    return "; ".join(clauses)
