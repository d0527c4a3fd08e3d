"""The build step that installs a user's code in the Spark image, with the tests' environment as the image's."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "containers/spark/files/install_code.sh"


def install(context: Path) -> subprocess.CompletedProcess[str]:
    (context / "apps").symlink_to(ROOT / "apps")
    return subprocess.run(
        ["bash", SCRIPT, context / "code", context / "out"],
        env={**os.environ, "ARGUS_VENV": str(Path(sys.executable).parents[1])},
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def add(context: Path, model: str, source: str) -> None:
    folder = context / "code" / model
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(source)


def test_without_code_there_is_an_empty_folder(tmp_path: Path) -> None:
    assert install(tmp_path).returncode == 0
    assert list((tmp_path / "out").iterdir()) == []


def test_code_that_starts_is_installed(tmp_path: Path) -> None:
    add(tmp_path, "view", "class Model:\n  def detect(self, frame): return []\n")
    done = install(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "out/view").iterdir()] == ["model.py"]


def test_a_missing_import_ends_the_build_with_its_name_and_the_model_s(tmp_path: Path) -> None:
    add(tmp_path, "view", "import nowhere_at_all\n")
    done = install(tmp_path)
    assert done.returncode == 1
    said = "models.view.code: model.py cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"
    assert done.stderr.splitlines()[-1].startswith(said)
