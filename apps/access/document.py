"""The file `access.json`: who may look at what. The program writes it, and every pod of the page reads it."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from apps.access.hashes import check_hash, check_token_hash

ACCESS_FILE: Final = "access.json"
KEY_FILE: Final = "session.key"
"""The key that signs sessions, in the same folder; one line."""

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
"""From the fewest rights to the most; each has those of the ones before it."""

USER_PATTERN: Final = r"[A-Za-z0-9]([A-Za-z0-9._@+-]{0,98}[A-Za-z0-9])?"
"""A user's or token's name; e-mail addresses are names too."""

CAMERAS_PATTERN: Final = r"[a-z0-9*?-]{1,40}"
"""A pattern of camera names: `*` stands for any characters, `?` for one."""

Cameras = tuple[Annotated[str, StringConstraints(pattern=f"^{CAMERAS_PATTERN}$")], ...]


class Entry(BaseModel):
    """A part of the file; it refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rights(Entry):
    """What somebody may do, and with which cameras."""

    role: Role
    cameras: Cameras
    """Patterns of the names of the cameras that may be seen."""


class User(Rights):
    """A user with a password."""

    hash: Annotated[str, AfterValidator(check_hash)]
    version: int = 1
    """Another one ends the user's sessions."""


class Token(Rights):
    """A program that shows a token."""

    hash: Annotated[str, AfterValidator(check_token_hash)]


class Mapped(Rights):
    """What the members of a group may do, as the provider of OpenID Connect tells it."""

    value: str
    """One of the values of the claim."""


class OpenIdConnect(Entry):
    """A provider of OpenID Connect, by which people log in beside the users of this file."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    claim: str
    """The claim with a user's groups or roles."""
    name_claim: str
    """The claim with the name by which a user is shown."""
    label: str
    """What the login page calls the provider."""
    roles: tuple[Mapped, ...]
    """The first one whose value a user has counts."""
    ca: str | None = None
    """PEM text of the authorities that vouch for the provider; without it those that certifi knows."""
    page: str
    """The page's own address, to which the provider sends users back, such as https://192.0.2.10:30080."""
    version: int = 1
    """Another one ends the sessions of all who logged in by the provider."""


class Access(Entry):
    """The whole file."""

    users: dict[str, User]
    tokens: dict[str, Token]
    open_id_connect: OpenIdConnect | None = None
    idle_seconds: float = Field(gt=0)
    """A session ends this long after its last request."""
    absolute_seconds: float = Field(gt=0)
    """A session ends this long after the login."""


CALLBACK_PATH: Final = "/api/login/openid/callback"
"""Where the provider of OpenID Connect sends users back to, on the page's own address."""


def at_least(role: Role, needed: Role) -> bool:
    """Whether a role has the rights of another."""
    return ROLES.index(role) >= ROLES.index(needed)


def patterns(groups: Iterable[str], named: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The patterns of some groups, sorted, each once. Raises KeyError for an unknown group."""
    return tuple(sorted({pattern for group in groups for pattern in named[group]}))
