"""The users and tokens of the access file, read again when it changes."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from apps.access.document import ACCESS_FILE, KEY_FILE, Access, Rights
from apps.access.hashes import hash_password, hash_token, is_slow, verify
from apps.service.settings import SettingsError, mistakes
from apps.ui.caller import Caller, Kind
from apps.ui.sessions import Session

CHECK_SECONDS = 5.0
"""The files are looked at again after this long. Kubernetes itself takes about a minute to change them in a pod."""

HASHES_AT_ONCE = 1
HASHES_WAITING = 8
"""Logins that may wait for the processor; each takes some tenths of a second and 16 MiB."""

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """Too many logins wait to be checked."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the folder's files say."""

    access: Access
    key: str
    """The key that signs sessions."""
    users: dict[str, Caller]
    tokens: dict[str, Caller]
    """Programs by the hash of their token."""

    @property
    def provider_version(self) -> str:
        """The version of a session by OpenID Connect; another provider or client, or another version, ends it."""
        provider = self.access.open_id_connect
        return _digest(f"{provider.version} {provider.client_id} {provider.issuer}") if provider else ""

    def member(self, name: str, subject: str, memberships: Collection[str]) -> Caller | None:
        """Somebody whom the provider knows, with the rights of now of these memberships; None if they give none."""
        provider = self.access.open_id_connect
        if provider is None:
            return None
        for each in provider.roles:
            if membership(each.value) in memberships:
                return Caller(
                    name=name,
                    kind="openid",
                    role=each.role,
                    cameras=each.cameras,
                    version=self.provider_version,
                    issuer=provider.issuer,
                    subject=subject,
                )
        return None


class Accounts:
    """Who may log in. A file that cannot be read later leaves what was read before in force."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingsError if the folder's files are missing or wrong."""
        self._folder, self._clock = folder, clock
        self._marks = self._look()
        self._content = read(folder)
        self._looked_at = clock()
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        self._nobody = hash_password("nobody has this")

    @property
    def content(self) -> Content:
        """The files' present content."""
        if self._clock() - self._looked_at >= CHECK_SECONDS:
            self._looked_at = self._clock()
            self._read_again()
        return self._content

    @property
    def limits(self) -> tuple[float, float]:
        """The idle and the absolute limit of a session (seconds)."""
        access = self.content.access
        return access.idle_seconds, access.absolute_seconds

    def user(self, name: str) -> Caller | None:
        """The user of this name with the rights of now."""
        return self.content.users.get(name)

    def of_session(self, session: Session) -> Caller | None:
        """Whose session it is, with the rights of now; None if another password, version or provider has ended it."""
        if session.kind == "openid":
            caller = self.content.member(session.name, session.subject, session.memberships)
        else:
            caller = self.user(session.name)
        return caller if caller is not None and caller.version == session.version else None

    def by_token(self, token: str) -> Caller | None:
        """The program that has this token."""
        return self.content.tokens.get(hash_token(token))

    async def by_password(self, name: str, password: str) -> Caller | None:
        """The user with this name and password. It takes as long for a name that is not there. Raises BusyError."""
        content = self.content
        found = content.access.users.get(name)
        if self._waiting >= HASHES_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._hashing:
                right = await asyncio.to_thread(self._verified, password, found.hash if found else self._nobody)
        finally:
            self._waiting -= 1
        return content.users[name] if found and right else None

    def _verified(self, password: str, stored: str) -> bool:
        """Whether the password has this hash. A drawn password's hash is fast, which would tell who has one."""
        right = verify(password, stored)
        if not is_slow(stored):
            verify(password, self._nobody)
        return right

    def _read_again(self) -> None:
        try:
            marks = self._look()
            if marks != self._marks:
                self._content, self._marks = read(self._folder), marks
                logger.info("the users and tokens have changed")
        except SettingsError as unusable:
            logger.error("the users and tokens stay as they were: %s", unusable)

    def _look(self) -> list[tuple[int, int, int]]:
        """What tells one version of the files from another. Kubernetes replaces them by other files."""
        found = [each.stat() for name in (ACCESS_FILE, KEY_FILE) if (each := self._folder / name).exists()]
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def read(folder: Path) -> Content:
    """The files of a folder. Raises SettingsError, which never shows a secret."""
    try:
        access = Access.model_validate_json((folder / ACCESS_FILE).read_bytes())
        key = (folder / KEY_FILE).read_text().strip()
    except OSError as unreadable:
        raise SettingsError(f"{unreadable.filename}: {unreadable.strerror}") from unreadable
    except ValidationError as invalid:
        raise SettingsError(f"{folder / ACCESS_FILE}: {mistakes(invalid)}") from None
    if len(key) < 32:
        raise SettingsError(f"{folder / KEY_FILE}: the key that signs sessions has fewer than 32 characters")
    return Content(
        access=access,
        key=key,
        users={name: _caller(name, "user", each, f"{each.version} {each.hash}") for name, each in access.users.items()},
        tokens={each.hash: _caller(name, "token", each) for name, each in access.tokens.items()},
    )


def membership(value: str) -> str:
    """The digest of a value of the provider's claim, so that a session with many of them fits in a cookie."""
    return hashlib.sha256(value.encode()).hexdigest()[:12]


def _caller(name: str, kind: Kind, rights: Rights, version: str = "") -> Caller:
    return Caller(name=name, kind=kind, role=rights.role, cameras=rights.cameras, version=_digest(version))


def _digest(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:16]
