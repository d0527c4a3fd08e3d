"""A user's code in its own process: no fault of one call prevents the next frame's answer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.messages import Detection, FrameError
from apps.spark_jobs.models import AnswerError
from apps.spark_jobs.models.child_process import CodeError
from apps.spark_jobs.models.python import IN_A_ROW, PAUSE_SECONDS, CallError, PythonModel, started
from tests.unit.apps.spark_jobs.frames import frame, scene
from tests.unit.waiting import wait_for

ROOT = Path(__file__).parents[5]
CODE = """\
import os, sys, time
from apps.model_api import Detection

class Model:
    def __init__(self):
        self.calls = 0

    def detect(self, frame):
        self.calls += 1
        return {
            "gate": self.good, "raise": self.raises, "hang": self.hangs, "hog": self.hogs, "exit": self.exits,
            "crash": self.crashes, "print": self.prints, "none": lambda frame: None, "score": self.scores,
            "leak": self.leaks, "child": self.child_hogs, "late": self.late, "image": self.looks,
        }[frame.camera](frame)

    def good(self, frame):
        return [Detection(label=f"call {self.calls}", score=0.5, box=(1, 2, 30, 40))]

    def raises(self, frame):
        raise KeyError("no such thing")

    def hangs(self, frame):
        while True:
            pass

    def hogs(self, frame):
        self.held = [b"x" * 2**20 for _ in range(4000)]

    def exits(self, frame):
        sys.exit(3)

    def crashes(self, frame):
        os.kill(os.getpid(), 11)

    def prints(self, frame):
        print("said by the code", flush=True)
        os.write(1, b"raw bytes\\n" * 1000)
        return self.good(frame)

    def scores(self, frame):
        return [Detection(label="cat", score=1.5, box=(0, 0, 1, 1))]

    def leaks(self, frame):
        self.held = None
        self.held = b"x" * 300 * 2**20
        return self.good(frame)

    def child_hogs(self, frame):
        import subprocess
        subprocess.run([sys.executable, "-c", "held = b'x' * 2**30; import time; time.sleep(60)"])

    def late(self, frame):
        yield Detection(label="cat", score=0.5, box=(0, 0, 1, 1))
        raise RuntimeError("after the first")

    def looks(self, frame):
        height, width, _ = frame.image.shape
        frame.image[:] = 0
        return [Detection(label="all", score=1.0, box=(0, 0, width, height))]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def model(folder: Path) -> Iterator[PythonModel]:
    model = PythonModel(folder, call_seconds=20, call_memory_mib=200)
    yield model
    model.close()


def found(model: PythonModel, camera: str = "gate") -> tuple[Detection, ...]:
    return model.detect(frame(scene(size=(64, 48)), camera=camera))


def test_one_process_answers_every_frame(model: PythonModel) -> None:
    assert found(model) == (Detection(label="call 1", score=0.5, box=(1.0, 2.0, 30.0, 40.0)),)
    assert found(model)[0].label == "call 2"
    assert found(model, "image")[0].box == (0.0, 0.0, 64.0, 48.0)


@pytest.mark.parametrize(
    ("camera", "error", "reason", "lives"),
    [
        ("raise", CallError, r"KeyError: 'no such thing' \(model.py:\d+\)", True),
        ("late", CallError, r"RuntimeError: after the first \(model.py:\d+\)", True),
        ("none", AnswerError, "detect gave None, not an iterable of Detection", True),
        ("score", AnswerError, r"the score of detection 0 \('cat'\) is 1.5, not in 0..1", True),
        ("hang", CallError, r"the call took more than 0.5 s \(callSeconds\) and was ended", False),
        ("hog", CallError, r"the call held \d+ MiB, more than 200 \(callMemoryMiB\), and was ended", False),
        ("child", CallError, r"the call held \d+ MiB, more than 200 \(callMemoryMiB\), and was ended", False),
        ("exit", CallError, "the call ended its process: exit status 3", False),
        ("crash", CallError, "the call ended its process: signal SIGSEGV", False),
    ],
)
def test_after_a_mistake_the_next_frame_has_its_answer(
    camera: str, error: type[Exception], reason: str, lives: bool, folder: Path
) -> None:
    model = PythonModel(folder, call_seconds=0.5 if camera == "hang" else 20, call_memory_mib=200)
    try:
        found(model)
        with pytest.raises(error, match=reason):
            found(model, camera)
        assert found(model)[0].label == ("call 3" if lives else "call 1")
    finally:
        model.close()


def test_a_corrupt_picture_is_a_corrupt_frame(model: PythonModel) -> None:
    whole = frame(scene(size=(64, 48)), camera="image")
    with pytest.raises(FrameError, match="cut short"):
        model.detect(type(whole)(**{**vars(whole), "jpeg": whole.jpeg[:-20]}))


def test_what_the_code_prints_goes_to_the_log(model: PythonModel, capfd: pytest.CaptureFixture[str]) -> None:
    model.close()
    assert found(model, "print")[0].label == "call 1"
    said = capfd.readouterr()
    assert "said by the code" in said.err
    assert said.out == ""


def test_code_that_grew_starts_anew_without_losing_a_frame(folder: Path) -> None:
    model = PythonModel(folder, call_seconds=20, call_memory_mib=500)
    try:
        found(model)
        assert found(model, "leak")[0].label == "call 2"
        model._memory_mib = 200
        assert found(model)[0].label == "call 3"
        assert found(model)[0].label == "call 1"
    finally:
        model.close()


def test_code_that_always_hangs_gets_a_pause_and_another_try(folder: Path) -> None:
    now = [0.0]
    model = PythonModel(folder, call_seconds=0.1, call_memory_mib=200, clock=lambda: now[0])
    try:
        for _ in range(IN_A_ROW):
            with pytest.raises(CallError, match=r"the call took more than 0.1 s"):
                found(model, "hang")
        with pytest.raises(CallError, match="not called, for 30 s, because the call took"):
            found(model)
        now[0] = PAUSE_SECONDS
        assert found(model)[0].label == "call 1"
    finally:
        model.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all' .* in requirements.txt"),
        ("class Model:\n  def __init__(self): open('/nowhere')", r"Model\(\) failed: FileNotFoundError.*model.py:2"),
        ("class Modle: pass", "model.py has no class Model"),
        ("class Model: pass", "has no method detect"),
        ("class Model:\n  def __init__(self): self.held = b'x' * 2**30", "does not start: the start held"),
        ("import os; os._exit(7)", "the start ended its process: exit status 7"),
        ("import sys; sys.exit('no licence')", "cannot be imported: SystemExit: no licence"),
    ],
)
def test_code_that_does_not_start_says_why_to_the_driver_and_of_each_frame(
    code: str, reason: str, folder: Path
) -> None:
    (folder / "model.py").write_text(code)
    with pytest.raises(CodeError, match=reason):
        started(folder, 200)
    model = PythonModel(folder, call_seconds=1, call_memory_mib=200)
    with pytest.raises(CallError, match=reason):
        found(model)


def test_code_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match="nowhere is not in this image"):
        started(tmp_path / "nowhere", 200)


def test_a_hanging_call_ends_with_its_worker(folder: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from tests.unit.apps.spark_jobs.frames import frame, scene\n"
        "from apps.spark_jobs.models.python import PythonModel\n"
        f"model = PythonModel(Path({str(folder)!r}), call_seconds=60, call_memory_mib=200)\n"
        "print(model._child._process.pid, flush=True)\n"
        "model.detect(frame(scene(size=(64, 48)), camera='hang'))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert worker.stdout is not None
    child = int(worker.stdout.readline())
    time.sleep(0.3)
    assert Path(f"/proc/{child}").exists()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    wait_for(lambda: not _runs(child))


def test_the_code_sees_its_folder_but_none_of_the_worker_s_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_WORKER_FACTORY_SECRET", "hush")
    (folder / "helper.py").write_text("NAME = 'beside'")
    (folder / "limits.txt").write_text("0.25")
    (folder / ".packages").mkdir()
    (folder / ".packages/installed.py").write_text("NAME = 'packaged'")
    (folder / "model.py").write_text(
        "import os, helper, installed\n"
        "from apps.model_api import Detection, Frame\n"
        "class Model:\n"
        "  def detect(self, frame: Frame):\n"
        "    label = f'{helper.NAME} {installed.NAME} {\"hush\" in os.environ.values()}'\n"
        "    return [Detection(label=label, score=float(open('limits.txt').read()), box=(0, 0, 1, 1))]\n"
    )
    model = PythonModel(folder, call_seconds=20, call_memory_mib=200)
    try:
        (one,) = found(model)
        assert (one.label, one.score) == ("beside packaged False", 0.25)
    finally:
        model.close()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_version_is_the_code_s(folder: Path) -> None:
    def version() -> str:
        model = PythonModel(folder, call_seconds=20, call_memory_mib=200)
        model.close()
        return model.version

    before = version()
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__/model.pyc").write_bytes(b"x")
    (folder / ".packages").mkdir()
    (folder / ".packages/some.py").touch()
    os.utime(folder / "model.py", (1, 1))
    assert version() == before
    (folder / "names.txt").write_text("cat")
    assert version() != before
