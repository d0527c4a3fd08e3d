import re

import pytest

from lab import __main__ as cli
from lab import stack
from lab.config import LabError


def test_a_failure_is_one_line_and_an_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise LabError("the stack has no kubeconfig yet; run `make up`")

    monkeypatch.setattr(stack, "kubeconfig", fail)
    assert cli.main(["kubeconfig"]) == 1
    assert capsys.readouterr().err == "lab kubeconfig: the stack has no kubeconfig yet; run `make up`\n"


def test_a_machine_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kill", "cp9"]) == 1
    assert "no machine 'cp9'" in capsys.readouterr().err


@pytest.mark.usefixtures("lab_state")
def test_the_previous_release_is_not_built_for_a_lab_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["previous"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "lab previous: the registry and the mirror of the lab must run first: `make up`\n"


def test_what_follows_two_dashes_is_pulumis(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], bool]] = []

    def record(arguments: list[str], *, whole: bool) -> int:
        seen.append((arguments, whole))
        return 7

    monkeypatch.setattr(stack, "pulumi", record)
    assert cli.main(["pulumi", "--", "up", "--yes"]) == 7
    assert cli.main(["pulumi", "preview"]) == 7
    assert cli.main(["pulumi", "--whole", "--", "up", "--yes"]) == 7
    assert seen == [(["up", "--yes"], False), (["preview"], False), (["up", "--yes"], True)]


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for command in ("up", "previous", "down", "status", "ssh", "kubeconfig", "pulumi", "output", "kill", "start"):
        assert re.search(rf"^    {command}\s+[A-Z]", shown, re.MULTILINE), command
