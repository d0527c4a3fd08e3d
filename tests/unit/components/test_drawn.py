"""Secrets that the program draws."""

import subprocess
from typing import Any

import pulumi

from components import drawn


def test_it_is_drawn_once_secretly_and_again_for_another_word(pulumi_mocks: Any) -> None:
    pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": f"{name}\n"}

    def program() -> pulumi.Output[str]:
        drawn.secret("first", redraw="", opts=pulumi.ResourceOptions())
        return drawn.secret("second", redraw="today", opts=pulumi.ResourceOptions())

    assert pulumi_mocks.run(program) == "second"
    first, second = (pulumi_mocks.named(name) for name in ("first", "second"))
    assert "triggers" not in first.inputs and second.inputs["triggers"] == ["today"]
    assert first.inputs["create"] == second.inputs["create"], "else a change of the word alone would not replace it"
    for made in (first, second):
        assert "update" not in made.inputs and made.inputs["logging"] == "none"
        assert made.secret_outputs == {"stdout"}


def test_it_is_256_random_bits_that_fit_in_a_url() -> None:
    command = ["sh", "-c", drawn._DRAW]
    one, other = (subprocess.run(command, capture_output=True, check=True, text=True).stdout for _ in range(2))
    assert one != other
    assert len(one) == 43
    assert one.replace("-", "").replace("_", "").isalnum()
