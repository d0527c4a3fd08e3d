import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from lab import updates
from lab.config import ROOT, LabError
from lab.updates import Update

PARENT = "urn:pulumi:dev::argus::argus:cluster:Cluster"


def urn(name: str) -> str:
    return f"{PARENT}$command:remote:Command::{name}"


def begun(
    name: str, op: str = "create", *, custom: bool = True, kind: str = "command:remote:Command"
) -> dict[str, Any]:
    states = {"old": {"custom": custom}, "new": None} if op == "delete" else {"old": None, "new": {"custom": custom}}
    return {"sequence": 1, "resourcePreEvent": {"metadata": {"op": op, "urn": urn(name), "type": kind, **states}}}


def ended(name: str, op: str = "create", **options: Any) -> dict[str, Any]:
    return {"sequence": 2, "resOutputsEvent": begun(name, op, **options)["resourcePreEvent"]}


def failed(name: str) -> dict[str, Any]:
    return {"sequence": 3, "resOpFailedEvent": {**begun(name)["resourcePreEvent"], "status": 1, "steps": 4}}


def said(message: str, severity: str = "info", name: str = "", prefix: str = "") -> dict[str, Any]:
    event = {"message": message, "severity": severity, "color": "raw", "prefix": prefix}
    return {"sequence": 4, "diagnosticEvent": {**event, **({"urn": urn(name)} if name else {})}}


def summary(**changes: int) -> dict[str, Any]:
    return {"sequence": 5, "summaryEvent": {"resourceChanges": changes, "isPreview": False}}


def after(*events: dict[str, Any], expected: int = 0) -> Update:
    update = Update(expected)
    for event in events:
        assert update.take(event) is None
    return update


def test_resources_are_counted_as_they_are_done_and_none_twice() -> None:
    replaced = [begun("b", "create-replacement"), ended("b", "create-replacement"), begun("b", "replace")]
    events = [begun("a"), ended("a"), begun("c", "same"), ended("c", "same"), *replaced, ended("b", "replace")]
    update = after(*events, begun("b", "delete-replaced"), begun("gone", "delete"))
    assert (update.done, update.total) == (3, 4)


def test_what_no_plugin_makes_is_not_counted() -> None:
    components = [begun("cluster", custom=False, kind="argus:cluster:Cluster")]
    providers = [begun("k8s", kind="pulumi:providers:kubernetes"), ended("k8s", kind="pulumi:providers:kubernetes")]
    update = after(*components, *providers)
    assert (update.done, update.total, update.now()) == (0, 0, "")


def test_there_are_as_many_as_expected_until_more_are_seen() -> None:
    assert after(begun("a"), expected=2).total == 2
    assert after(begun("a"), begun("b"), begun("c"), expected=2).total == 3


def test_what_is_waited_for_longest_is_named_with_what_its_command_printed_last() -> None:
    update = after(begun("image-kafka"), begun("image-spark"), begun("kept", "same"))
    assert update.now() == "image-kafka (0 s) and 1 more"
    update.take(said("STEP 1/2\nSTEP 2/2: RUN mvn <{%reset%}>", name="image-kafka"))
    assert update.now() == "image-kafka (0 s) and 1 more: STEP 2/2: RUN mvn"
    update.take(ended("image-kafka"))
    assert update.now() == "image-spark (0 s)"
    update.take(failed("image-spark"))
    assert update.now() == ""
    assert (update.done, update.total) == (1, 3)


def test_warnings_and_errors_are_shown_once_without_colours() -> None:
    update = Update()
    message = said("<{%fg 1%}>disk is <{%reset%}>full\n", "error", "cp1-packages", "<{%fg 1%}>error: <{%reset%}>")
    assert update.take(message) == "cp1-packages: error: disk is full"
    assert update.take(message) is None
    assert update.take(said("a key is deprecated", "warning")) == "a key is deprecated"
    assert update.take(said("all is well")) is None
    assert update.take(said("all is well", "info#err")) is None


def test_an_error_that_holds_a_whole_build_is_shown_with_its_end() -> None:
    text = Update().take(said("exit status 1:\n" + "\n".join(f"line {n}" for n in range(500)), "error", "image"))
    assert text is not None
    lines = text.splitlines()
    assert lines[:3] == ["image: exit status 1:", "...", "line 480"]
    assert lines[-1] == "line 499"


def test_other_events_change_nothing() -> None:
    others: list[dict[str, Any]] = [
        {"sequence": 0, "preludeEvent": {"config": {}}},
        {"sequence": 0, "cancelEvent": {}},
        {"sequence": 0, "policyEvent": {"message": "no"}},
        {"sequence": 0, "progressEvent": {"type": "plugin-download"}},
    ]
    update = after(*others, summary(create=180, same=7))
    assert (update.total, update.result()) == (0, "180 create, 7 same")
    assert after({"summaryEvent": {"resourceChanges": None}}).result() == ""


ENGINE = """
import json, os, signal, sys, time

assert os.environ["PULUMI_DEBUG_COMMANDS"] == "true"
interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
arguments = sys.argv[1:]
events = open(arguments[arguments.index("--event-log") + 1], "a")
for number, event in enumerate(json.loads(os.environ["EVENTS"])):
    line = json.dumps(event, ensure_ascii=False) + "\\n"
    # Now and then a reader sees half a line.
    events.write(line[: len(line) // 2]); events.flush()
    time.sleep(0.01)
    events.write(line[len(line) // 2 :]); events.flush()
    print("stream", number, flush=True)
print("the end of the stream", flush=True)
if "UNTIL_INTERRUPTED" in os.environ:
    end = time.monotonic() + 60
    while not interrupted and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1)
sys.exit(int(os.environ.get("STATUS", 0)))
"""
"""Writes events like Pulumi's engine, and is not ended early by an interrupt."""


def engine(tmp_path: Path, *events: dict[str, Any], **changes: str) -> dict[str, Any]:
    program = tmp_path / "engine.py"
    program.write_text(textwrap.dedent(ENGINE))
    return {
        "command": [sys.executable, str(program), "up"],
        "environment": {**os.environ, "EVENTS": json.dumps(events), **changes},
        "log": tmp_path / "logs" / "pulumi-up.log",
    }


def test_an_update_is_a_line_with_its_changes_and_its_stream_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [begun("a"), said("ä" * 15000, name="a"), ended("a"), said("beware", "warning"), summary(create=1)]
    updates.run(**engine(tmp_path, *events), title="pulumi up", expected=1)
    warning, line = capsys.readouterr().err.splitlines()
    assert warning.endswith("] beware")
    assert line.endswith("s (1 create)")
    assert "pulumi up: done in" in line
    assert (tmp_path / "logs" / "pulumi-up.log").read_text().splitlines()[-1] == "the end of the stream"


def test_a_failed_update_shows_its_errors_and_the_end_of_its_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [begun("a"), said("no disk", "error", "a"), failed("a")]
    with pytest.raises(
        LabError, match=r"(?s)exit status 255; the end of .*/logs/pulumi-up\.log:.*the end of the stream$"
    ):
        updates.run(**engine(tmp_path, *events, STATUS="255"), title="pulumi up", expected=0)
    error, line = capsys.readouterr().err.splitlines()
    assert error.endswith("] a: no disk")
    assert "pulumi up: failed after" in line


def test_a_preview_counts_and_one_that_fails_says_nothing_of_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [begun("a"), begun("b"), begun("c", custom=False), said("unknown key", "error")]
    assert updates.count(**engine(tmp_path, *events), title="counting") == 2
    assert updates.count(**engine(tmp_path, *events, STATUS="1"), title="counting") == 0
    good, bad = capsys.readouterr().err.splitlines()
    assert good.endswith("s (2)")
    assert bad.endswith(f"s (not known, see {tmp_path}/logs/pulumi-up.log)")


def test_an_interrupted_update_is_waited_for(tmp_path: Path) -> None:
    options = engine(tmp_path, UNTIL_INTERRUPTED="yes")
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from lab import updates
        # A shell's background jobs ignore the signal, and so would the programs that the tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            updates.run({options["command"]!r}, title="pulumi up", environment=os.environ, expected=0,
                        log=Path({str(options["log"])!r}))
        except KeyboardInterrupt:
            print("interrupted at the end")
    """)
    environment = {**options["environment"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + 60
        while not options["log"].exists() or "the end of the stream" not in options["log"].read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        # Like a terminal: to Pulumi and to the process that follows it.
        os.killpg(process.pid, signal.SIGINT)
        printed, shown = process.communicate(timeout=60)
    assert printed == "interrupted at the end\n"
    assert "interrupted: Pulumi ends what it has begun; interrupt again to end it at once" in shown
