"""One run: its faults one after the other, each proved, undone and recovered from, and the audit of every frame."""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx

from lab.config import LabError
from tests.e2e.accounting import Audit
from tests.e2e.waiting import repeatedly, wait_until
from tests.marathon import whole
from tests.marathon.fault import OVERTIME_S, Aim, Fault, Scene
from tests.marathon.journal import Journal
from tests.marathon.record import FAILED, INTERRUPTED, INVALID, PASSED, Caused, Row
from tests.marathon.repairs import Repairs
from tests.marathon.schedule import Planned, plan
from tests.marathon.whole import JobFailedError, Whole, send_results_again

LONGER = 1.5
"""How many times as long as told a run may be, to have half of the kinds: two runs then have all of them."""
WITNESS_S = 10.0
"""How often producers are asked what they have delivered, because one that is killed cannot be asked afterwards."""
_UNDO_LIMIT_S = 180.0
"""How long undoing a fault is tried: the API may be away when a machine was."""
_UNDO_PAUSE_S = 5.0
_AFTER_REFUSAL_S = 30.0
"""How long Filebeat is given to have given up what was refused, before the comparison looks."""


class NotWholeError(Exception):
    """The stack did not become whole in time."""


class Run:
    """One run of the marathon; `row` has what was done, also after an exception."""

    def __init__(self, scene: Scene, kinds: Mapping[str, Fault], row: Row, journal: Journal) -> None:
        self._scene, self._kinds, self._journal = scene, kinds, journal
        self.row = row
        self._began = 0.0
        self._whole: Whole | None = None
        self._audit: Audit | None = None

    def go(self) -> None:
        """Run to the end. Sets the row's outcome; Ctrl-C is raised again once the fault is undone.

        An error that nobody foresaw is the marathon's own: it says nothing about the stack.
        """
        try:
            self._go()
        except (AssertionError, LabError, httpx.HTTPError, NotWholeError, JobFailedError) as error:
            self.row.outcome, self.row.error = FAILED, _line(error)
            self._scene.say(f"FAILED: {self.row.error}")
            return
        except Exception as error:
            self.row.outcome, self.row.error = INVALID, f"the marathon failed: {type(error).__name__}: {_line(error)}"
            self._scene.say(f"INVALID: {self.row.error}\n{traceback.format_exc()}")
            return
        except BaseException as error:
            self.row.outcome, self.row.error = INTERRUPTED, _line(error)
            raise
        unproven = [f"{fault.kind}: {fault.unproven}" for fault in self.row.faults if fault.unproven]
        if unproven or not self.row.faults:
            self.row.outcome, self.row.error = INVALID, "; ".join(unproven) or "no fault was caused in this time"
            self._scene.say(f"INVALID: {self.row.error}")
        else:
            self.row.outcome = PASSED

    def _go(self) -> None:
        scene, say = self._scene, self._scene.say
        say(f"seed {self.row.seed}: waiting until all cameras deliver")
        scene.results_refused = False
        repairs = Repairs.since_now(scene.cluster)
        audit = self._audit = Audit.open(scene.cluster)
        self._whole = Whole(scene.cluster)
        self._wait_until_whole("before the first fault", None)
        self._began = time.monotonic()
        with witnessed(audit, repairs):
            for planned in plan(self.row.seed, {name: kind.hold_s for name, kind in self._kinds.items()}):
                if self._elapsed() + planned.pause_s + planned.hold_s > self._limit_s():
                    break
                time.sleep(planned.pause_s)
                self._cause(planned)
        say(f"{len(self.row.faults)} faults in {self._elapsed():.0f} s; every frame is looked for in every sink")
        if scene.results_refused:
            time.sleep(_AFTER_REFUSAL_S)
            send_results_again(scene.cluster, f"marathon-{int(time.time())}", repairs)
        self.row.frames = audit.close()
        _ask(repairs.look)
        self.row.repaired = repairs.shown()
        say(f"{self.row.frames}; {self.row.repaired}")

    def _cause(self, planned: Planned) -> None:
        """Cause one fault, prove it, undo it, and wait until the stack is whole."""
        kind, scene = self._kinds[planned.kind], self._scene
        at_s, began, proof, unproven = self._elapsed(), time.monotonic(), "", ""
        aim: Aim = {}
        try:
            try:
                aim = kind.aim(scene, planned.draws)
                scene.say(f"{planned.kind}, for {planned.hold_s:.0f} s: {_shown(aim)}")
                assert self._audit is not None
                # Of what a producer that dies now has delivered since it was asked last, only the sinks know.
                _ask(self._audit.witness)
                self._journal.write(planned.kind, aim)
                began = time.monotonic()
                kind.begin(scene, aim)
                time.sleep(max(0.0, began + planned.hold_s - time.monotonic()))
                proof = kind.proof(scene, aim)
                scene.say(f"  proof: {proof}")
            except Exception as error:
                unproven = _line(error)
                scene.say(f"  NOT PROVEN: {unproven}")
        finally:
            held_s = time.monotonic() - began
            if aim:
                self._undo(kind, aim)
        if held_s > planned.hold_s + OVERTIME_S:
            unproven = unproven or f"it stood for {held_s:.0f} s, longer than {planned.hold_s + OVERTIME_S:.0f} s"
        entry = {"kind": planned.kind, "at_s": round(at_s, 1), "held_s": round(held_s, 1)}
        said = {"proof": proof, "unproven": unproven}
        try:
            whole_s = self._wait_until_whole(f"after {planned.kind}", (kind, aim) if aim else None)
        except NotWholeError:
            self.row.faults.append(Caused(**entry, **said, whole_s=None))  # type: ignore[arg-type]
            raise
        self.row.faults.append(Caused(**entry, **said, whole_s=round(whole_s, 1)))  # type: ignore[arg-type]
        scene.say(f"  whole again after {whole_s:.0f} s")

    def _undo(self, kind: Fault, aim: Aim) -> None:
        with uninterrupted():
            undo(self._scene, kind, aim)
            self._journal.clear()

    def _wait_until_whole(self, when: str, caused: tuple[Fault, Aim] | None) -> float:
        """The seconds until the stack is whole. Raises NotWholeError after the limit."""
        began = time.monotonic()
        assert self._whole is not None
        stack = self._whole

        def missing() -> str | None:
            said = stack.missing()
            if said is None and caused is not None:
                kind, aim = caused
                try:
                    said = kind.missing(self._scene, aim)
                except Exception as error:
                    said = _line(error)
            return said

        try:
            wait_until(f"the stack whole {when}", missing, limit_s=whole.LIMIT_S)
        except AssertionError as error:
            raise NotWholeError(str(error)) from None
        return time.monotonic() - began

    def _limit_s(self) -> float:
        """When the last fault must have ended: a run that has not had half of the kinds yet goes on for a while."""
        wanted = (len(self._kinds) + 1) // 2
        return self.row.seconds * (1 if len(self.row.faults) >= wanted else LONGER)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def undo(scene: Scene, kind: Fault, aim: Aim) -> None:
    """Undo a fault, again and again where that fails. Raises LabError that says what to do by hand."""
    deadline = time.monotonic() + _UNDO_LIMIT_S
    while True:
        try:
            kind.end(scene, aim)
            return
        except Exception as error:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{kind.name} could not be undone ({_shown(aim)}): {_line(error)}; "
                    "`make test-marathon` tries it again before it begins"
                ) from error
            scene.say(f"  undone not yet: {_line(error)}")
            time.sleep(_UNDO_PAUSE_S)


def ends() -> list[signal.Signals]:
    """What ends a marathon: Ctrl-C, `kill`, and a terminal that is closed, as far as it was not started without."""
    return [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    ]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C, and what else ends a marathon, wait until the block ends."""
    pressed: list[int] = []
    before = {number: signal.signal(number, lambda number, _: pressed.append(number)) for number in ends()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def witnessed(audit: Audit, repairs: Repairs) -> Iterator[None]:
    """Ask the producers in a thread of its own what they have delivered, until the block ends; and the comparisons."""
    with repeatedly("witness", lambda: _ask(audit.witness, repairs.look), WITNESS_S):
        yield


def _ask(*questions: Callable[[], None]) -> None:
    """Ask what is asked again and again: where the API or a pod is away, the next time."""
    for question in questions:
        with suppress(httpx.HTTPError, KeyError, ValueError):
            question()


def _shown(aim: Aim) -> str:
    return ", ".join(f"{key} {value}" for key, value in aim.items() if key not in ("uid", "id"))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:1000] or repr(error)
