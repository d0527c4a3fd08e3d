"""A preview refuses a folder of a user's code only for what its files show."""

from pathlib import Path
from typing import Any

import pytest

from components.config import ConfigError, load_values
from components.config.code import problems_of_code
from tests.unit.stacks import LAB, sections
from tests.unknown_key import UNKNOWN_KEY

ROOT = Path(__file__).parents[4]
GOOD = "class Model:\n  def detect(self, frame): return []\n"


def problems(folder: Path, source: str | bytes) -> list[str]:
    (folder / "model.py").write_bytes(source.encode() if isinstance(source, str) else source)
    return list(problems_of_code(folder))


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "class Model:\n  def __init__(self, size=1, *, more=2): pass\n  def detect(self, frame, *rest): yield 1\n",
        "class Model:\n  def detect(*arguments): return []\n",
        "class Model:\n  @staticmethod\n  def detect(frame): return []\n",
        "from elsewhere import Model\n",
        "import elsewhere as Model\n",
        "from elsewhere import *\n",
        "def made(): ...\nModel = made()\n",
        "class Base: ...\nclass Model(Base): pass\n",
        f"try:\n  import fast\nexcept ImportError:\n  class Model:\n    pass\nelse:\n  x = 1\n{GOOD}",
        "raise SystemExit('never run')\n" + GOOD,
    ],
)
def test_what_may_be_a_model_passes(source: str, tmp_path: Path) -> None:
    assert problems(tmp_path, source) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("class Model:\n  def detect(self, frame) return []\n", "model.py, line 2: "),
        ("def detect(frame): return []\n", "has no class Model; name it so"),
        ("def made():\n  class Model:\n    def detect(self, frame): ...\n", "has no class Model"),
        (
            "class Model:\n  def predict(self, frame): ...\n",
            "line 1: the class Model has no method detect(self, frame)",
        ),
        ("class Model:\n  def detect(self): ...\n", "line 2: detect does not take one frame"),
        ("class Model:\n  def detect(self, frame, size): ...\n", "detect does not take one frame"),
        ("class Model:\n  def detect(self, frame, *, size): ...\n", "detect does not take one frame"),
        ("class Model:\n  async def detect(self, frame): ...\n", "line 2: detect is a coroutine"),
        (GOOD + "  def __init__(self, path): ...\n", "line 3: __init__ wants arguments"),
        (b"\xff\xfe\x00\x01", "model.py"),
        (b"\x7fELF\0\0", "model.py is no Python source (source code"),
        ("", "has no class Model"),
    ],
)
def test_what_is_no_model_has_one_problem(source: str | bytes, problem: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, source)
    assert problem in found


def test_a_folder_without_a_module_or_none_at_all(tmp_path: Path) -> None:
    (found,) = problems_of_code(tmp_path)
    assert found.startswith(f"{tmp_path} has no model.py; name a folder")
    (found,) = problems_of_code(tmp_path / "nowhere")
    assert found.startswith(f"{tmp_path / 'nowhere'} does not exist; name a folder")


def stack(folder: Path, **model: object) -> dict[str, Any]:
    (folder / "key").write_text(UNKNOWN_KEY)
    models = [{"name": "view", "kind": "python", "code": str(folder), **model}]
    return {**sections(LAB, folder / "key"), "models": models}


def test_the_example_is_a_model(tmp_path: Path) -> None:
    example = ROOT / "docs/examples/python-model"
    assert load_values(stack(tmp_path, code=str(example))).models[0].code == example


def test_a_problem_names_the_model_s_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_values(stack(tmp_path))
    assert raised.value.problems[0].startswith(f"models[0].code: {tmp_path} has no model.py")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (
            {"coresPerExecutor": 2},
            "models[0].executorMemoryMiB: 500 for Spark + 2 cores x (callMemoryMiB 512 + 150 for a Python worker) = "
            "1824 MiB, more than 1400; give at least 1824",
        ),
        (
            {"callMemoryMiB": 1000, "executorMemoryMiB": 2000},
            "models[0].driverMemoryMiB: the driver starts the code once, with 150 + callMemoryMiB 1000 = 1150 MiB, "
            "more than 900; give at least 1150",
        ),
    ],
)
def test_the_code_s_memory_fits_its_pods(model: dict[str, object], problem: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(GOOD)
    with pytest.raises(ConfigError) as raised:
        load_values(stack(tmp_path, **model))
    assert len(raised.value.problems) == 1
    assert raised.value.problems[0].startswith(problem)
