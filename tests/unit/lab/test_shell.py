import sys
from pathlib import Path

import pytest

from lab.config import LabError
from lab.shell import run

SAY_AND_FAIL = [sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"]


def test_a_failure_names_the_command_and_shows_what_it_said() -> None:
    with pytest.raises(LabError, match=r"(?s)exit status 3: .*python.*what went wrong"):
        run(SAY_AND_FAIL)


def test_a_failure_that_went_to_a_log_names_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "it.log"
    with pytest.raises(LabError, match=rf"(?s)all of it: {log}.*what went wrong"):
        run(SAY_AND_FAIL, log=log)
    assert log.read_text() == "what went wrong\n"


def test_a_failure_can_be_asked_for() -> None:
    assert run(SAY_AND_FAIL, check=False).returncode == 3


def test_a_command_reads_what_it_is_given_and_else_nothing() -> None:
    read = [sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]
    assert run(read, stdin="a key").stdout == "'a key'\n"
    assert run(read).stdout == "''\n"


def test_a_missing_program_is_said_with_its_remedy() -> None:
    with pytest.raises(LabError, match="no-such-program is not installed; run `make bootstrap`"):
        run(["no-such-program"])


def test_no_command_runs_for_ever() -> None:
    with pytest.raises(LabError, match="no end after 0 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
