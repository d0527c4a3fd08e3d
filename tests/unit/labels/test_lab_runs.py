from lab.cameras.runs import RUNS
from tests.labels import runs


def test_the_labs_cameras_send_the_labelled_runs() -> None:
    labelled = {(run.name, run.footage, run.first, run.count, run.crop) for run in runs()}
    assert {(run.name, run.source, run.first, run.count, run.crop) for run in RUNS} == labelled
