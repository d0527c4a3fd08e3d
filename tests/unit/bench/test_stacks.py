"""The program accepts the generated stacks."""

import os
from pathlib import Path

import pytest

from components.config import Settings, load_values
from tests.bench import stacks
from tests.bench.preview import SIZES, session_mib
from tests.unknown_key import UNKNOWN_KEY


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(UNKNOWN_KEY)
    return path


def settings(config: stacks.Config) -> Settings:
    return load_values({name.removeprefix("argus:"): value for name, value in config.items()})


@pytest.mark.parametrize("size", SIZES)
def test_a_stack_of_every_size_is_without_mistake(size: str, key: Path) -> None:
    control_planes, workers = map(int, size.split("+"))
    config = stacks.sized(stacks.committed("prod"), control_planes=control_planes, workers=workers)
    machines = settings(stacks.with_key(config, key)).machines
    assert (len(machines.control_planes), len(machines.workers)) == (control_planes, workers)


def test_the_rest_of_the_stack_is_as_committed() -> None:
    committed = stacks.committed("prod")
    sized = stacks.sized(committed, control_planes=3, workers=7)
    changed = {name for name in committed if committed[name] != sized[name]}
    assert changed == {"argus:machines", "argus:cluster"}
    assert committed == stacks.committed("prod")


def test_the_labs_stack_still_holds_without_a_worker(key: Path) -> None:
    config = stacks.with_key(stacks.committed("dev"), key)
    *kept, leaving = (each["name"] for each in config["argus:machines"]["workers"])
    assert kept
    assert [each.name for each in settings(stacks.without(config, leaving)).machines.workers] == kept
    assert [each.name for each in settings(config).machines.workers] == [*kept, leaving]


def test_memory_is_that_of_a_session() -> None:
    assert session_mib(os.getsid(0)) > 10
    assert session_mib(-1) == 0
