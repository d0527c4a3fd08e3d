"""Users and tokens are read again, and what cannot be read changes nothing."""

import asyncio
from pathlib import Path

import pytest

from apps.access.document import ACCESS_FILE, KEY_FILE
from apps.service.settings import SettingsError
from apps.ui.accounts import CHECK_SECONDS, HASHES_WAITING, Accounts, BusyError
from tests.accounts import PASSWORD, TOKEN, token, user, write_access


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def later(self) -> None:
        self.now += CHECK_SECONDS


def test_a_user_is_found_by_name_and_password(tmp_path: Path) -> None:
    accounts = Accounts(write_access(tmp_path, {"anna": user("viewer", "yard-*", "gate")}))

    async def ask(name: str, password: str) -> object:
        return await accounts.by_password(name, password)

    anna = accounts.user("anna")
    assert anna is not None and anna == asyncio.run(ask("anna", PASSWORD))
    seen = {name: anna.sees(name) for name in ("yard-1", "gate", "gate-2", "backyard-1", "")}
    assert seen == {"yard-1": True, "gate": True, "gate-2": False, "backyard-1": False, "": False}
    assert (anna.has("viewer"), anna.has("operator"), anna.has("admin")) == (True, False, False)
    assert asyncio.run(ask("anna", "wrong")) is None
    assert asyncio.run(ask("bert", PASSWORD)) is None
    assert accounts.user("bert") is None


def test_a_program_is_found_by_its_token(tmp_path: Path) -> None:
    accounts = Accounts(write_access(tmp_path, tokens={"shift": token("abc", "operator", "gate")}))
    tests, shift = accounts.by_token(TOKEN), accounts.by_token("abc")
    assert tests is not None and tests.sees("anything") and tests.has("admin")
    assert shift is not None and (shift.kind, shift.name, shift.sees("gate"), shift.sees("yard")) == (
        "token",
        "shift",
        True,
        False,
    )
    assert accounts.by_token("") is None


def test_a_change_is_seen_and_a_mistake_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    accounts = Accounts(write_access(tmp_path, {"anna": user("viewer", "gate")}), clock)
    before = accounts.user("anna")
    write_access(tmp_path, {"anna": user("admin", "*", version=2)}, key="j" * 43)
    assert accounts.user("anna") == before, "not looked at yet"
    clock.later()
    after = accounts.user("anna")
    assert before and after and (after.role, after.cameras) == ("admin", ("*",))
    assert after.version != before.version, "so that sessions of before are over"
    assert accounts.content.key == "j" * 43
    (tmp_path / ACCESS_FILE).write_text('{"users": {"anna": {"hash": "secret"}}}')
    clock.later()
    assert accounts.user("anna") == after
    assert "stay as they were" in caplog.text and "secret" not in caplog.text.replace("secret file", "")
    (tmp_path / ACCESS_FILE).unlink()
    clock.later()
    assert accounts.user("anna") == after
    write_access(tmp_path)
    clock.later()
    assert accounts.user("anna") is None


def test_other_rights_leave_a_session_as_it_is(tmp_path: Path) -> None:
    clock = Clock()
    accounts = Accounts(write_access(tmp_path, {"anna": user("viewer", "gate")}), clock)
    before = accounts.user("anna")
    write_access(tmp_path, {"anna": user("viewer", "yard")})
    clock.later()
    after = accounts.user("anna")
    assert before and after and before.version == after.version and after.sees("yard")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (ACCESS_FILE, None, "access.json: No such file"),
        (KEY_FILE, None, "session.key: No such file"),
        (ACCESS_FILE, "{", "access.json: .*JSON"),
        (ACCESS_FILE, '{"users": {"anna": {"hash": "letmein"}}}', "users.anna"),
        (KEY_FILE, "short", "fewer than 32"),
    ],
)
def test_files_that_cannot_be_used_at_the_start_are_named(
    tmp_path: Path, file: str, text: str | None, said: str
) -> None:
    write_access(tmp_path)
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(text)
    with pytest.raises(SettingsError, match=said) as raised:
        Accounts(tmp_path)
    assert "letmein" not in str(raised.value)


def test_a_flood_of_logins_does_not_queue(tmp_path: Path) -> None:
    accounts = Accounts(write_access(tmp_path, {"anna": user("viewer", "*")}))

    async def flood() -> list[object]:
        tries = [accounts.by_password("anna", "wrong") for _ in range(HASHES_WAITING + 3)]
        return await asyncio.gather(*tries, return_exceptions=True)

    answers = asyncio.run(flood())
    assert answers.count(None) == HASHES_WAITING
    assert sum(isinstance(each, BusyError) for each in answers) == 3
