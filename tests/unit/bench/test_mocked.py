"""The whole program runs under the benchmark's mocks."""

from pathlib import Path

from tests.bench.preview import program
from tests.bench.stacks import committed, sized, with_key


def test_the_program_runs_under_mocks(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a key that no machine knows\n")
    config = with_key(sized(committed("prod"), control_planes=3, workers=3), key)
    assert program(config, tmp_path)["resources"] > 100
