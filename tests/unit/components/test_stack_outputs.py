"""A stack's outputs of its last update, read while the engine writes."""

from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components import stack_outputs
from tests.unit.components.conftest import Recorder

OUTPUTS = {"kubernetesVersion": "1.36.1"}
READ = {"name": "of the engine", "outputs": {**OUTPUTS, "uiUrl": "http://192.0.2.10"}, "secretOutputNames": []}
TORN = Exception("invoke of pulumi:pulumi:readStackOutputs failed: failed to load checkpoint: EOF")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr(stack_outputs, "_PAUSE_SECONDS", 0)


def answers(monkeypatch: pytest.MonkeyPatch, given: Iterator[Any]) -> list[str]:
    """Let the engine give these answers in turn. Returns the names of the requested stacks."""
    asked = []

    async def invoke(token: str, properties: dict[str, Any]) -> Any:
        assert token == "pulumi:pulumi:readStackOutputs"
        asked.append(properties["name"])
        answer = next(given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pulumi.runtime, "invoke_async", invoke)
    return asked


def test_a_state_that_is_being_written_is_read_again(pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, iter([TORN, TORN, READ]))
    assert pulumi_mocks.run(lambda: stack_outputs.last("kubernetesVersion")) == OUTPUTS
    assert len(asked) == 3
    assert all(name.endswith("/argus/test") for name in asked)


def test_a_state_that_stays_unreadable_is_named(pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, iter([TORN] * 100))
    with pytest.raises(stack_outputs.UnreadableStateError, match=r"argus/test cannot be read: .* EOF"):
        pulumi_mocks.run(lambda: stack_outputs.last("kubernetesVersion"))


def test_before_the_first_update_there_is_nothing(pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, iter([{**READ, "outputs": {}}]))
    assert pulumi_mocks.run(lambda: stack_outputs.last("kubernetesVersion")) == {}
