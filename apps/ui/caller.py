"""Who asks: a user or a program whose login has been checked."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from apps.access.document import Role, at_least

Kind = Literal["user", "token", "openid"]
"""A user of the stack, a program, or somebody whom the provider of OpenID Connect knows."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A user, or a program with a token, with the rights of now. The name of a kind `openid` may be that of a user."""

    name: str
    kind: Kind
    role: Role
    cameras: tuple[str, ...]
    """Patterns of camera names."""
    version: str = ""
    """A session of another version is over: another password was set, or the user's sessions were ended."""
    issuer: str = ""
    """The provider of OpenID Connect that vouches for the name."""
    subject: str = ""
    """Who it is for that provider, which may give a name to somebody else later."""

    def has(self, role: Role) -> bool:
        """Whether the caller has the rights of a role."""
        return at_least(self.role, role)

    @property
    def sees_all(self) -> bool:
        """Whether no camera is hidden."""
        return "*" in self.cameras

    @cached_property
    def sees(self) -> Callable[[str], bool]:
        """Whether a camera of this name may be seen."""
        if self.sees_all:
            return lambda _: True
        found = re.compile("|".join(fnmatch.translate(pattern) for pattern in self.cameras) or r"(?!)").match
        return lambda name: found(name) is not None
