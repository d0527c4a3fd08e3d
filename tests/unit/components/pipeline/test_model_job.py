"""What follows from a model of a user's own code for its job."""

from pathlib import Path

from components.config import Model
from components.pipeline.model_job import environment_of, frames_per_task


def model(**keys: object) -> Model:
    return Model.model_validate({"name": "view", **keys})


def test_the_code_s_place_and_limits_reach_the_driver() -> None:
    variables = environment_of(model(kind="python", code=Path("/x"), callSeconds=5, callMemoryMiB=256))
    assert variables["ARGUS_CODE"] == "/opt/argus/code/view"
    assert (variables["ARGUS_CALL_SECONDS"], variables["ARGUS_CALL_MEMORY_MIB"]) == ("5.0", "256")


def test_a_batch_ends_before_the_driver_counts_as_stalled_however_slow_the_code_may_be() -> None:
    for seconds in (0.1, 1, 10, 450, 600):
        slow = model(kind="python", code=Path("/x"), callSeconds=seconds)
        batch = frames_per_task(slow) * seconds
        assert seconds <= batch <= max(400, seconds)
        assert batch + 200 <= float(environment_of(slow)["ARGUS_STALL_SECONDS"])
    other = model(kind="motion")
    assert frames_per_task(other) > 400
    assert "ARGUS_STALL_SECONDS" not in environment_of(other)
