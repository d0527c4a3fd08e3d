"""A producer's settings: its environment, its cameras and their credentials."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from apps.messages import camera_tls, camera_url
from apps.messages.names import NAME_PATTERN
from apps.service.settings import AnsweringSettings, AskingSettings, KafkaSettings, SettingsError, mistakes

Transport = Literal["auto", "tcp", "udp"]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(AnsweringSettings, AskingSettings, KafkaSettings):
    """The environment of one producer."""

    frames_topic: str = Field(min_length=1)
    cameras_file: Path
    credentials_file: Path
    max_frame_bytes: int = Field(gt=0)
    peers: Annotated[tuple[tuple[str, int], ...], NoDecode]
    """Addresses of the producers, possibly with this one: `name:port`, separated by commas."""

    @field_validator("peers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.rpartition(":")[::2] for part in value.split(",") if part)
        return value


class Tls(BaseModel):
    """How a camera's certificate is checked: by the system's authorities, by others, by its fingerprint, or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca: Annotated[str, AfterValidator(camera_tls.check_ca)] | None = None
    fingerprint: Annotated[str, AfterValidator(camera_tls.check_fingerprint)] | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        camera_tls.check_one(self.ca, self.fingerprint, self.verify)
        return self


class Camera(BaseModel):
    """One camera and how its frames are prepared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    url: Annotated[str, AfterValidator(camera_url.check)]
    frames_per_second: float = Field(gt=0, le=60)
    width: int = Field(default=640, ge=64, le=7680)
    jpeg_quality: int = Field(default=80, ge=1, le=100)
    grey: bool = False
    transport: Transport = "auto"
    tls: Tls | None = None
    masks: tuple[tuple[Share, Share, Share, Share], ...] = ()

    @field_validator("masks")
    @classmethod
    def _rectangles(cls, masks: tuple[tuple[float, float, float, float], ...]) -> tuple[Any, ...]:
        for x1, y1, x2, y2 in masks:
            if x1 >= x2 or y1 >= y2:
                raise ValueError(f"a mask is x1, y1, x2, y2 with x1 < x2 and y1 < y2, not {[x1, y1, x2, y2]}")
        return masks


class Credentials(BaseModel):
    """The login of a camera."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str
    password: SecretStr


def read_cameras(path: Path) -> tuple[Camera, ...]:
    """The cameras of a JSON file. Raises SettingsError."""
    cameras: tuple[Camera, ...] = _read(path, TypeAdapter(tuple[Camera, ...]), "ARGUS_CAMERAS_FILE")
    names = [camera.name for camera in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{path}: more than one camera is called {', '.join(twice)}")
    return cameras


def read_credentials(path: Path) -> dict[str, Credentials]:
    """The credentials of a JSON file by camera name; empty if there is no file. Raises SettingsError."""
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
        raise SettingsError(f"{key}: {mistakes(invalid)}") from None
