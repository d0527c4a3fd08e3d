"""What a scan finds, and which of it has been accepted."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lab.config import LabError

ACCEPTED: Final = Path(__file__).with_name("accepted.toml")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class NotScannedError(LabError):
    """A source of vulnerabilities did not answer, so nothing is known about a kind of package."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One vulnerability of one version of a package."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    """Its other names, such as its CVE."""
    fixed: str
    """The versions that mend it; empty if there is none."""
    summary: str
    sources: tuple[str, ...]
    """The files of the repository that pin this version."""

    def line(self) -> str:
        """The finding in one line."""
        names = ", ".join((self.id, *self.aliases))
        mended = f"fixed in {self.fixed}" if self.fixed else "no version mends it"
        return f"{self.package} {self.version}: {names}: {self.summary} ({mended}; pinned by {', '.join(self.sources)})"


class Acceptance(BaseModel):
    """Somebody's word that a vulnerability of a package does no harm here, or cannot be mended yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text
    package: Text
    reason: Text
    date: date

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding, by any of its names."""
        return self.package == finding.package and self.id in (finding.id, *finding.aliases)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accepted: tuple[Acceptance, ...] = Field(())


def accepted(file: Path = ACCEPTED) -> tuple[Acceptance, ...]:
    """The file's acceptances. Raises LabError that says what is wrong in it."""
    try:
        return _File.model_validate(tomllib.loads(file.read_text())).accepted
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise LabError(f"{file.name}: each [[accepted]] has an id, a package, a reason and a date: {error}") from error


def open_findings(found: Iterable[Finding], acceptances: Sequence[Acceptance]) -> list[Finding]:
    """The findings that nobody has accepted, sorted."""
    return sorted(each for each in found if not any(acceptance.covers(each) for acceptance in acceptances))


def needless(found: Sequence[Finding], acceptances: Iterable[Acceptance]) -> list[Acceptance]:
    """The acceptances of what is not found any longer."""
    return [acceptance for acceptance in acceptances if not any(acceptance.covers(each) for each in found)]
