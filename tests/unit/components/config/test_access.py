"""Every mistake in who may look at what is named by its key, and no secret is printed."""

from pathlib import Path
from typing import Any

import pytest

from apps.access.hashes import hash_password, hash_token
from components.config import ConfigError, Settings, load_values
from tests.unit.stacks import LAB, sections

HASH, TOKEN = hash_password("correct horse battery"), hash_token("token")
GIVEN: dict[str, Any] = {
    "groups": {"yard": ["cam-0?", "cam-10"]},
    "users": {
        "anna": {"passwordHash": HASH, "groups": ["yard"]},
        "bert@example.org": {"passwordHash": HASH, "groups": ["all"], "role": "admin", "version": 3},
    },
    "tokens": {"shift": {"tokenHash": TOKEN, "groups": ["yard"], "role": "operator"}},
    "sessions": {"idleMinutes": 15, "absoluteHours": 8},
}


def load(tmp_path: Path, **access: Any) -> Settings:
    key = tmp_path / "key"
    key.touch()
    values = sections(LAB, key)
    values["cameras"] = [{"name": f"cam-{number:02d}", "url": "synthetic://street"} for number in range(1, 13)]
    return load_values({**values, "access": {**GIVEN, **access}})


def test_a_whole_section_is_read(tmp_path: Path) -> None:
    access = load(tmp_path).access
    assert access.users["anna"].role == "viewer"
    assert access.users["anna"].password_hash.get_secret_value() == HASH
    assert access.patterns == {"all": ("*",), "yard": ("cam-0?", "cam-10")}
    assert HASH not in repr(access) and TOKEN not in repr(access)


def test_none_is_needed(tmp_path: Path) -> None:
    access = load(tmp_path, groups={}, users={}, tokens={}, sessions={}).access
    assert (access.sessions.idle_minutes, access.sessions.absolute_hours) == (60, 12)


def anna(**changes: Any) -> dict[str, Any]:
    return {"users": {"anna": {**GIVEN["users"]["anna"], **changes}}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            anna(passwordHash="letmein"),
            "access.users.anna.passwordHash: (secret): not the hash of a password; `python -m",
        ),
        (anna(passwordHash=TOKEN), "access.users.anna.passwordHash: (secret): not the hash of a password"),
        (anna(passwordHash=None), "access.users.anna.passwordHash: (secret): "),
        (anna(groups=[]), "access.users.anna.groups: "),
        (anna(groups=["garden"]), "access.users.anna.groups: there is no group 'garden'; name one of all, yard"),
        (anna(role="root"), 'access.users.anna.role: "root": '),
        (anna(version=0), "access.users.anna.version: 0: "),
        (anna(password="letmein"), "access.users.anna.password: unknown key"),
        ({"users": {"an na": GIVEN["users"]["anna"]}}, "access.users.an na"),
        (
            {"tokens": {"shift": {"tokenHash": "letmein", "groups": ["all"]}}},
            "access.tokens.shift.tokenHash: (secret): not",
        ),
        (
            {"tokens": {"shift": {"tokenHash": TOKEN, "groups": ["x"]}}},
            "access.tokens.shift.groups: there is no group 'x'",
        ),
        ({"groups": {"all": ["cam-01"]}}, "access.groups.all: this is every camera in any stack"),
        ({"groups": {"yard": ["cam-99"]}}, "access.groups.yard: 'cam-99' is the name of no camera"),
        ({"groups": {"yard": ["cam[0-9]"]}}, "access.groups.yard[0]: "),
        ({"sessions": {"idleMinutes": 0}}, "access.sessions.idleMinutes: 0: "),
        ({"sessions": {"idleMinutes": 120, "absoluteHours": 1}}, "idleMinutes 120 is longer than absoluteHours 1"),
        ({"oauth": {}}, "access.oauth: unknown key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, **change)
    assert any(problem in found for found in raised.value.problems), raised.value.problems
    assert "letmein" not in str(raised.value)
    for secret in (HASH, TOKEN):
        assert secret not in str(raised.value)
