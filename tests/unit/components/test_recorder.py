"""The stand-in for the engine: programs recorded one after another, in any thread's state."""

import asyncio

import pulumi
import pytest

from components.recorder import Recorder


def recorded() -> list[str]:
    recorder = Recorder()
    recorder.run(lambda: pulumi.ComponentResource("test:index:Thing", "thing") and None)
    return [each.name for each in recorder.resources]


def test_a_program_is_recorded_after_somebody_s_own_event_loop() -> None:
    asyncio.run(asyncio.sleep(0))
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()

    assert recorded() == ["thing"]


def test_one_program_is_recorded_after_another() -> None:
    assert [recorded(), recorded()] == [["thing"], ["thing"]]
