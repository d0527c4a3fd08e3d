"""Users and tokens of the page for tests: what a component writes into a pod's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from apps.access.document import ACCESS_FILE, KEY_FILE, Access, OpenIdConnect, Role, Token, User
from apps.access.hashes import hash_password, hash_token

PASSWORD: Final = "correct horse battery"
TOKEN: Final = "a-token-of-the-tests"
"""It sees every camera, as an admin."""
BEARER: Final[Mapping[str, str]] = {"Authorization": f"Bearer {TOKEN}"}
HASH: Final = hash_password(PASSWORD)


def everything(_: str) -> bool:
    """What somebody sees who sees every camera."""
    return True


def user(role: Role, *cameras: str, version: int = 1) -> User:
    """A user with PASSWORD who sees the cameras that match these patterns."""
    return User(hash=HASH, role=role, cameras=cameras, version=version)


def token(secret: str, role: Role, *cameras: str) -> Token:
    """A program with this token that sees the cameras that match these patterns."""
    return Token(hash=hash_token(secret), role=role, cameras=cameras)


def write_access(
    folder: Path,
    users: Mapping[str, User] | None = None,
    tokens: Mapping[str, Token] | None = None,
    *,
    idle_seconds: float = 3600,
    absolute_seconds: float = 43200,
    key: str = "k" * 43,
    open_id_connect: OpenIdConnect | None = None,
) -> Path:
    """Write the folder's files, always with TOKEN. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    access = Access(
        users=dict(users or {}),
        tokens={"tests": token(TOKEN, "admin", "*"), **(tokens or {})},
        idle_seconds=idle_seconds,
        absolute_seconds=absolute_seconds,
        open_id_connect=open_id_connect,
    )
    for name, content in ((ACCESS_FILE, access.model_dump_json()), (KEY_FILE, f"{key}\n")):
        # Replaced as Kubernetes replaces it, so that a reader sees the whole old file or the whole new one.
        new = folder / f"{name}.new"
        new.write_text(content)
        new.replace(folder / name)
    return folder
