"""Checks of texts by their form, which say the form in words instead of a regular expression."""

import re
from pathlib import Path
from typing import Final

from pydantic import AfterValidator

from apps.messages.names import NAME_PATTERN

_AGE: Final = "age1"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

_SCHEDULES: Final = "minutely|hourly|daily|weekly|monthly|quarterly|semiannually|annually|yearly"
_CALENDAR: Final = re.compile(r"(?=.*[0-9*])[\w*:,./~-]+( [\w*:,./~+-]+){0,3}")
"""At most weekday, date, time and zone, with a digit or an asterisk somewhere; the rest is for systemd to judge."""


def like(pattern: str, form: str) -> AfterValidator:
    """A check that all of a text matches a pattern; the error is that it must be of this form."""

    def checked(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {form}")
        return text

    return AfterValidator(checked)


NAME: Final = like(NAME_PATTERN, "1 to 40 small letters (a-z), digits and -, and begin and end with a letter or digit")


def expanded(path: Path) -> Path:
    """A path with the home folder in the place of `~`. Raises ValueError where there is no such home."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"this computer knows no home folder of {path.parts[0]}; write the whole path") from None


def check_schedule(text: str) -> str:
    """Check a calendar event of systemd's as far as its form says; return it unchanged. Raises ValueError."""
    if not re.fullmatch(_SCHEDULES, text) and not _CALENDAR.fullmatch(text):
        raise ValueError(
            "must be a time as systemd writes it, not as cron does: hourly, or *-*-* 03:00 (man systemd.time)"
        )
    return text


def check_recipient(text: str) -> str:
    """Check an age public key with its checksum (https://age-encryption.org/v1, BIP 173); return it unchanged.

    Raises ValueError with the remedy.
    """
    remedy = "give the line `age1…` that `age-keygen` prints as the public key"
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise ValueError(f"this is a private key, which is no longer secret: make a new pair, and {remedy}")
    if not re.fullmatch(rf"{_AGE}[{_BECH32}]{{58}}", text):
        raise ValueError(f"this is no public key of age; {remedy}")
    if not _has_checksum(text):
        raise ValueError(f"the checksum in this key is wrong, so a sign of it is too; {remedy}")
    return text


def _has_checksum(text: str) -> bool:
    """Whether the last six signs of a Bech32 text are its checksum."""
    prefix, _, data = text.rpartition("1")
    values = [ord(sign) >> 5 for sign in prefix] + [0] + [ord(sign) & 31 for sign in prefix]
    checksum = 1
    for value in (*values, *map(_BECH32.index, data)):
        top, checksum = checksum >> 25, (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == 1
