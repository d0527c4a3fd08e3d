"""The program runs whole under the benchmark's mocks."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from lab.config import ROOT
from tests.bench.stacks import committed, sized, with_key


def test_the_program_runs_under_mocks(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a key that no machine knows\n")
    file = tmp_path / "Pulumi.bench.yaml"
    config = with_key(sized(committed("prod"), control_planes=3, workers=3), key)
    file.write_text(yaml.safe_dump({"config": config}))
    command = [sys.executable, "-m", "tests.bench.mocked", str(file)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resources"] > 100
