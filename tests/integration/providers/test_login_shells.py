"""Machines whose users have another login shell than bash hand a script on as it is."""

from pathlib import Path

from tests.unit.components.cluster.test_scripts import NASTY, handed_on


def test_a_script_is_handed_on_as_it_is(login_shell: Path, tmp_path: Path) -> None:
    assert handed_on(str(login_shell), tmp_path) == f"{NASTY}|argument|{NASTY}"
