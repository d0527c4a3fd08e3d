import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from apps.messages import Frame
from apps.producer import camera
from apps.producer.camera import CameraWorker
from apps.producer.pace import Backoff
from apps.producer.sources import CorruptImage, NoPicture, OversizeImage, Shot, Source, SourceError
from apps.producer.sources.base import Closing
from apps.producer.web import describe
from apps.scenes import render
from tests.unit.apps.producer.conftest import FakeSender, make_camera
from tests.unit.waiting import wait_for

IMAGE = render("unit", 1, 320, 180)


class Script(Closing):
    """A source that follows a script, one line per read, and is lost at its end."""

    def __init__(self, lines: list[Exception | None]) -> None:
        self._lines = lines
        self.closed = False

    def read(self, sequence: int, due: float) -> Shot | None:
        if not self._lines:
            raise SourceError("the camera ended the stream")
        line = self._lines.pop(0)
        if line is not None:
            raise line
        return Shot(image=IMAGE, captured_at=datetime.now(UTC))

    def close(self) -> None:
        self.closed = True


def worker_of(
    open_source: Callable[[], Source], sender: FakeSender, stopping: threading.Event, limit: int = 100_000
) -> CameraWorker:
    camera = make_camera("rtsp://10.0.0.1/x", frames_per_second=60)
    backoff = Backoff(first=0.01, longest=0.02)
    worker = CameraWorker(camera, open_source, sender, stopping, max_frame_bytes=limit, backoff=backoff)
    worker.start()
    return worker


def test_frames_get_sequences_without_gaps_over_bad_images_and_reconnects(stopping: threading.Event) -> None:
    scripts = [
        Script([None, CorruptImage("half"), None, OversizeImage("huge"), None]),
        Script([None, ZeroDivisionError("a decoder's bug"), None]),
        Script([None, None]),
    ]
    waiting, sender = list(scripts), FakeSender()

    def open_source() -> Source:
        if not waiting:
            raise SourceError("Connection refused")
        return waiting.pop(0)

    worker = worker_of(open_source, sender, stopping)
    wait_for(lambda: len(sender.frames) == 6 and worker.status.state == "backoff" and not waiting)
    wait_for(lambda: worker.status.error == "Connection refused")
    first = sender.frames[0].sequence
    assert [frame.sequence for frame in sender.frames] == list(range(first, first + 6))
    assert all(script.closed for script in scripts)
    (camera,) = describe("me", [worker])["cameras"]
    assert camera == {
        "name": "gate",
        "url": "rtsp://10.0.0.1/x",
        "state": "backoff",
        "error": "Connection refused",
        "first_sequence": first,
        "last_sequence": first + 5,
        "acked": 6,
        "failed": [],
        "queued": 0,
    }
    stopping.set()
    worker.join(5)
    assert not worker.reading


def test_an_undelivered_frame_is_named(stopping: threading.Event) -> None:
    sender = FakeSender(delivered=lambda frame: frame.sequence % 4 != 1)
    worker = worker_of(lambda: Script([None] * 8), sender, stopping)
    wait_for(lambda: len(sender.frames) >= 8)
    stopping.set()
    worker.join(5)
    account = worker.ledger.account()
    expected = tuple(frame.sequence for frame in sender.frames if frame.sequence % 4 == 1)
    assert account.failed == expected
    assert account.acked == len(sender.frames) - len(expected)
    assert account.last == sender.frames[-1].sequence


def test_a_frame_that_is_too_large_gets_no_identity(stopping: threading.Event) -> None:
    sender = FakeSender()
    worker = worker_of(lambda: Script([None] * 4), sender, stopping, limit=100)
    wait_for(lambda: worker.status.state == "backoff")
    stopping.set()
    worker.join(5)
    assert not sender.frames
    assert worker.ledger.account().first is None


def test_what_a_full_queue_refuses_on_stopping_was_never_given(stopping: threading.Event) -> None:
    sender = FakeSender()
    sender.full.set()
    worker = worker_of(lambda: Script([None] * 3), sender, stopping)
    wait_for(lambda: worker.status.state != "connecting")
    stopping.set()
    worker.join(5)
    assert worker.ledger.account().queued == 0


class Clock(datetime):
    """A clock that shows what it is set to."""

    shown = datetime(2026, 11, 23, 22, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return cls.shown


@pytest.mark.parametrize("back", [0, 1, 7200, 400 * 86400])
def test_a_camera_that_is_taken_back_gives_no_number_twice_though_the_clock_was_set_back(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch, back: int
) -> None:
    monkeypatch.setattr(camera, "datetime", Clock)
    sender = FakeSender()
    worker = worker_of(lambda: Script([None] * 10_000), sender, stopping)
    wait_for(lambda: len(sender.frames) > 3)
    worker.release()
    worker.join(5)
    before = len(sender.frames)
    monkeypatch.setattr(Clock, "shown", Clock.shown - timedelta(seconds=back))
    worker.take_back()
    wait_for(lambda: len(sender.frames) > before + 3)
    worker.stop()
    worker.join(5)
    sequences = [frame.sequence for frame in sender.frames]
    assert sequences == sorted(set(sequences))


def test_an_answer_that_comes_after_a_new_run_has_begun_counts_in_its_own_run(stopping: threading.Event) -> None:
    answers: list[Callable[[bool], None]] = []

    class Late(FakeSender):
        def send(self, frame: Frame, answer: Callable[[bool], None]) -> bool:
            answers.append(answer)
            return True

    worker = worker_of(lambda: Script([None]), Late(), stopping)
    wait_for(lambda: bool(answers))
    worker.release()
    worker.join(5)
    old, answers[1:] = worker.ledger, []
    worker.take_back()
    worker.stop()
    worker.join(5)
    answers[0](False)
    assert len(old.account().failed) == 1
    assert worker.ledger.account().failed == ()


@pytest.mark.parametrize("state", ["streaming"])
def test_a_working_camera_says_so(stopping: threading.Event, state: str) -> None:
    sender = FakeSender()
    worker = worker_of(lambda: Script([None] * 10_000), sender, stopping)
    wait_for(lambda: len(sender.frames) > 3)
    assert (worker.status.state, worker.status.error) == (state, None)
    stopping.set()
    worker.join(5)


class Endless(Script):
    """A source that repeats its one line whenever a picture is due."""

    def read(self, sequence: int, due: float) -> Shot | None:
        time.sleep(max(0.0, due - time.monotonic()))
        self._lines *= 2
        return super().read(sequence, due)


@pytest.mark.parametrize("trouble", [CorruptImage("half"), OversizeImage("huge"), NoPicture("no key frame")])
def test_a_camera_without_a_picture_that_can_be_used_says_why(stopping: threading.Event, trouble: Exception) -> None:
    worker = worker_of(lambda: Endless([trouble]), FakeSender(), stopping)
    wait_for(lambda: (worker.status.state, worker.status.error) == ("stalled", str(trouble)))
    assert worker.reading
    stopping.set()
    worker.join(5)


def test_a_bad_picture_among_good_ones_changes_no_state(stopping: threading.Event) -> None:
    sender = FakeSender()
    states: list[str] = []
    lines = [None, CorruptImage("half"), None] * 5
    worker = worker_of(lambda: Watched(lines, states, lambda: worker), sender, stopping)
    wait_for(lambda: len(sender.frames) >= 10)
    stopping.set()
    worker.join(5)
    assert set(states[1:15]) == {"streaming"}


class Watched(Script):
    """A script that notes the worker's state at each read."""

    def __init__(self, lines: list[Exception | None], states: list[str], worker: Callable[[], CameraWorker]) -> None:
        super().__init__(lines)
        self._states, self._worker = states, worker

    def read(self, sequence: int, due: float) -> Shot | None:
        self._states.append(self._worker().status.state)
        return super().read(sequence, due)


@pytest.mark.parametrize("trouble", [CorruptImage("half"), NoPicture("nothing")])
def test_a_camera_whose_pictures_stay_bad_is_stalled(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr("apps.producer.camera._STALLED_SECONDS", 0.0)
    worker = worker_of(lambda: Script([None, *[trouble] * 1000]), FakeSender(), stopping)
    wait_for(lambda: (worker.status.state, worker.status.error) == ("stalled", str(trouble)))
    stopping.set()
    worker.join(5)


def test_a_camera_that_sends_no_picture_for_long_is_connected_to_again(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.producer.camera._ENDURED_SECONDS", 0.0)
    opened: list[Script] = []

    def open_source() -> Source:
        opened.append(Endless([NoPicture("no key frame")]))
        return opened[-1]

    worker = worker_of(open_source, FakeSender(), stopping)
    wait_for(lambda: len(opened) >= 3 and opened[0].closed and worker.status.error == "no key frame")
    stopping.set()
    worker.join(5)
