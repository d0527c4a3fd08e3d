import os
import pty
import re
import select
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import progress
from lab.config import ROOT, LabError
from lab.progress import now, say, step, wait_for

LIMIT_SECONDS = 60
NUMBER = r"\d+\.\d"

PROGRAM = """
import sys, threading, time
from pathlib import Path
from lab import progress

progress._HEARTBEAT_SECONDS = 0.2
log = Path(sys.argv[1])

def image():
    with progress.step("the image", log=log):
        log.write_text("I: Retrieving bash\\nI: half a li")
        time.sleep(1.5)

other = threading.Thread(target=image)
other.start()
with progress.step("programs") as shown:
    for number in range(4):
        shown.now(f"package-{number}", done=number, total=4)
        time.sleep(0.5)
        if number == 1:
            progress.say("a line [bold]that stays[/bold]")
other.join()
print("the result")
with progress.step("baking"):
    with progress.step("the dough"):
        raise SystemExit(3)
"""
"""Two long parallel steps, then one that fails within another."""


def waiting(condition: Callable[[], bool]) -> None:
    """Wait for the condition, because the host may be busy."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def command(tmp_path: Path) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "image.log")]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "ARGUS_BEGAN", "NO_COLOR"}}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **changes}


def on_a_terminal(arguments: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    """Returns the exit status, the output to the terminal (standard error), and standard output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        sent = b""
        end = time.monotonic() + LIMIT_SECONDS
        while select.select([ours], [], [], max(0, end - time.monotonic()))[0]:
            try:
                sent += os.read(ours, 65536)
            except OSError:
                # The last process with the terminal open has ended.
                break
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(ours)
    return process.returncode, sent.decode(), printed


def test_waiting_ends_when_nothing_is_missing() -> None:
    answers = iter(["not yet", "not yet", None])
    wait_for("a thing", lambda: next(answers), timeout=5, interval=0)
    assert list(answers) == []


def test_waiting_is_bounded_and_says_what_was_last_seen() -> None:
    with pytest.raises(LabError, match="a thing: not ready after 0 s; last seen: connection refused"):
        wait_for("a thing", lambda: "connection refused", timeout=0, interval=0)


def test_a_step_is_one_line_with_its_time_and_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    with step("baking") as shown:
        now("kneading")
        shown.result = "3 loaves"
    assert re.fullmatch(rf"\[ *{NUMBER} s\] baking: done in {NUMBER} s \(3 loaves\)\n", capsys.readouterr().err)


def test_a_failed_step_is_said_to_have_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LabError), step("baking"):
        raise LabError("no flour")
    (line,) = capsys.readouterr().err.splitlines()
    assert "baking: failed after" in line


def test_a_step_within_a_step_has_no_line_of_its_own_and_is_named_where_it_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with step("images"):
        for name in ("one", "two"):
            with step(f"image {name}"):
                now("copying")
    with pytest.raises(LabError), step("images"), step("image two"), step("layer 7"):
        raise LabError("no space")
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(NUMBER, "N", line.partition("] ")[2]) for line in lines] == [
        "images: done in N s",
        "images: failed after N s (layer 7)",
    ]


def test_what_a_step_is_at_comes_from_inside_out_and_at_last_from_its_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    with step("images", log=log) as shown:
        assert shown.shown() == ""
        log.write_text("STEP 1/2\nSTEP 2/2: RUN apt-get install\n\nhalf a li")
        assert shown.shown() == "STEP 2/2: RUN apt-get install"
        shown.now("", done=2, total=9)
        with step("image etcd", log=tmp_path / "none"):
            assert shown.shown() == "2 of 9, image etcd"
            wait_for("the registry", iter(["refused", None]).__next__, timeout=5, interval=0)
            now("pushing")
            assert shown.shown() == "2 of 9, image etcd: pushing"
        assert shown.shown() == "2 of 9, STEP 2/2: RUN apt-get install"


def test_what_is_done_outside_of_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    now("starting the cameras")
    assert capsys.readouterr().err.endswith(" s] starting the cameras\n")


def test_a_long_step_says_now_and_then_what_it_is_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_SECONDS", 0.02)
    said: list[str] = []

    def beaten() -> bool:
        said.extend(capsys.readouterr().err.splitlines())
        return len(said) >= 3

    with step("programs") as shown:
        shown.now("kubelet: k8s.io/" + "x" * 1000, done=1, total=7)
        waiting(beaten)
    assert re.match(rf"\[ *{NUMBER} s\] programs: \d+ s so far, 1 of 7, kubelet: k8s.io/x+$", said[-1])
    assert max(map(len, said)) < 250


def test_the_heartbeat_ends_with_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_SECONDS", 0.02)
    before = set(threading.enumerate())
    with pytest.raises(LabError), step("programs"):
        (beating,) = set(threading.enumerate()) - before
        raise LabError("no disk")
    waiting(lambda: not beating.is_alive())


def test_time_counts_from_the_beginning_of_make_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARGUS_BEGAN", f"{time.time() - 3600:.6f}")
    progress._start.cache_clear()
    try:
        say("an hour later")
    finally:
        progress._start.cache_clear()
    assert re.match(r"\[36\d\d\.\d s\] an hour later\n", capsys.readouterr().err)


TERMINALS: dict[str, dict[str, str] | None] = {
    "none": None,
    "in CI": {"CI": "true"},
    "dumb": {"TERM": "dumb"},
    "wide": {"COLUMNS": "100"},
}
"""Where the program's output goes, with the changes of its environment."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """The exit status and outputs of the program on each terminal. All run at once, because each takes seconds."""

    def run(terminal: str) -> tuple[int, str, str]:
        arguments, changes = command(tmp_path_factory.mktemp("program")), TERMINALS[terminal]
        if changes is not None:
            return on_a_terminal(arguments, environment(**changes))
        env = environment()
        done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        return done.returncode, done.stderr, done.stdout

    with ThreadPoolExecutor(len(TERMINALS)) as pool:
        return dict(zip(TERMINALS, pool.map(run, TERMINALS), strict=True))


@pytest.mark.parametrize("terminal", ["none", "in CI", "dumb"])
def test_without_somebody_at_a_terminal_there_are_only_lines(
    results: dict[str, tuple[int, str, str]], terminal: str
) -> None:
    status, said, printed = results[terminal]
    assert (status, printed) == (3, "the result\n")
    assert "\x1b" not in said
    lines = said.splitlines()
    assert all(re.match(rf"\[ *{NUMBER} s\] ", line) for line in lines)
    assert any(re.search(r"programs: \d s so far, \d of 4, package-\d$", line) for line in lines)
    assert any(re.search(r"the image: \d s so far, I: Retrieving bash$", line) for line in lines)
    assert sum("a line [bold]that stays[/bold]" in line for line in lines) == 1
    ends = [re.sub(NUMBER, "N", line.partition("] ")[2]) for line in lines if "so far" not in line]
    assert sorted(ends)[1:] == [
        "baking: failed after N s (the dough)",
        "programs: done in N s",
        "the image: done in N s",
    ]


def test_on_a_terminal_the_steps_under_way_are_drawn_in_place(results: dict[str, tuple[int, str, str]]) -> None:
    status, sent, printed = results["wide"]
    assert (status, printed) == (3, "the result\n")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)
    assert "so far" not in text
    assert re.search(r"programs +━\S* +2 of 4, package-2", text)
    assert re.search(r"the image +I: Retrieving bash", text)
    # Each frame is drawn over the previous one, and the cursor is restored.
    assert "\x1b[1A\x1b[2K" in sent
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")
    ends = re.findall(rf"\[ *{NUMBER} s\] (.*)\r\n", text)
    *two, last = [re.sub(NUMBER, "N", end) for end in ends]
    assert sorted(two) == ["a line [bold]that stays[/bold]", "programs: done in N s", "the image: done in N s"]
    assert last == "baking: failed after N s (the dough)"
