"""What a run prints and writes."""

import csv
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import idle
from tests.bench.frames.figures import Latency
from tests.bench.frames.loops import Loop
from tests.bench.frames.programs import Program
from tests.bench.frames.report import Cpu, Filled, Run, Step, draw, shown, steadiness, write_csv

KUBELET, JAVA, OTHER, PROBE = (
    Program("cluster", "kubelet"),
    Program("pipeline", "kafka: java"),
    Program("others", "bash"),
    Program("instrument", "the instrument"),
)


def cpu(**changes: Any) -> Cpu:
    programs = Counter({KUBELET: 1500, JAVA: 4000, OTHER: 300, PROBE: 100})
    plain: dict[str, Any] = {"seconds": 100, "programs": programs, "busy": 6000, "softirq": 200, "steal": 50}
    return Cpu(**{**plain, "unexplained": 0.0167, **changes})


def step(wanted: float, **changes: Any) -> Step:
    late = Latency(0.1, 0.2, 0.3, 100)
    plain: dict[str, Any] = {
        "wanted": wanted,
        "reached": wanted * 0.995,
        "slopes": {"objects": 0.1, "motion": 0.0},
        "lags": {"objects": 90, "motion": 40},
        "faults": [],
        "sets": "none missing",
        "to_kafka": late,
        "to_result": late,
        "to_search": Latency(math.nan, math.nan, math.nan, 0),
        "looked": {"objects": 0.31, "motion": 1.0},
        "not_searchable": 0,
        "cpu": cpu(),
        "memory": Counter({KUBELET: 80 * 2**20, JAVA: 700 * 2**20, OTHER: 2**30}),
        "seconds": 120,
    }
    return Step(**plain | changes)


def run() -> Run:
    lost = step(80, faults=["objects falls behind by 41.5/s"], not_searchable=7)
    found = Run(steps=[step(20), step(40), lost, step(40, seconds=600)])
    found.loop("B").before = Loop(3000, 30, 57)
    found.loop("B").after = Loop(2400, 30, 57)
    return found


def test_the_report_says_what_is_kept_what_a_frame_costs_and_what_does_not_compare() -> None:
    text = shown(run())
    assert text.count("objects 31%, motion 100%") == 4
    assert "The highest rate kept: 40 frames/s, for 600 s." in text
    assert "80 frames/s for 120 s: NOT KEPT: objects falls behind by 41.5/s. Sets: none missing; 7 results" in text
    # 40 s of CPU for 3980 frames.
    kafka = next(line for line in text.splitlines() if line.startswith("| kafka: java"))
    assert kafka.split("|")[3].strip() == f"{40_000 / 3980:.2f}"
    assert "loop B before and after differ by 20%" in text
    assert "UNSTEADY" in text
    assert "Kept : loop B = 39.8 : 90.0 = 0.44" in text


def test_loop_a_decides_where_it_was_measured() -> None:
    found = run()
    found.loop("A").before, found.loop("A").after = Loop(3000, 30, 57), Loop(2900, 30, 57)
    assert "was steady: loop A before and after differ by 3%" in steadiness(found.loops)
    found.loop("A").after = None
    assert "loop B" in steadiness(found.loops)
    assert steadiness([]) == ""


def test_executors_alone_are_compared_by_their_slowest_model(tmp_path: Path) -> None:
    found = run()
    found.filled = Filled(frames=6000, rates={"objects": 45.0, "motion": 72.0}, cpu=cpu())
    text = shown(found)
    assert "Executors alone on a topic with 6000 frames, in frames/s: objects 45.0, motion 72.0." in text
    assert "Executors alone : loop B = 45.0 : 90.0 = 0.50" in text
    write_csv(found, tmp_path / "frames.csv")
    assert ",,executors alone,objects,45.00,frames/s" in (tmp_path / "frames.csv").read_text()


def test_nothing_kept_is_said() -> None:
    assert "No rate was kept." in shown(Run(steps=[step(20, faults=["too slow"])]))
    assert shown(Run(notes=["Interrupted"])) == "Interrupted"


def test_the_csv_has_every_figure_of_every_step(tmp_path: Path) -> None:
    write_csv(run(), tmp_path / "frames.csv")
    with (tmp_path / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["step"], row["kind"], row["name"]): row["value"] for row in rows}
    assert found["3", "rate", "kept"] == "0"
    assert found["2", "lag slope", "objects"] == "0.1000"
    assert found["2", "capture to result", "p99"] == "0.300"
    assert found["2", "cpu of cluster", "kubelet"] == f"{15_000 / 3980:.4f}"
    assert found["4", "memory of pipeline", "kafka: java"] == "700.0"
    assert found["", "loop B", "before"] == "19.000", "the last of rate and cost"
    assert {row["step"] for row in rows} == {"1", "2", "3", "4", ""}


def test_the_plot_is_drawn_with_values_that_are_missing(tmp_path: Path) -> None:
    draw(run().steps, tmp_path / "frames.png")
    assert (tmp_path / "frames.png").read_bytes().startswith(b"\x89PNG")


def test_the_cores_at_rest_are_beside_their_limits() -> None:
    text = idle.shown(cpu())
    assert f"{idle.CLUSTER}: 0.150 cores, within 0.25" in text
    assert "cameras: 0.550 cores, OVER 0.45" in text
    assert "Busy over 100 s: 0.600 cores, of which 1.7% unexplained" in text
    assert text.index("kafka: java") < text.index("kubelet")
    more = idle.shown(replace(cpu(), programs=Counter({KUBELET: 2600})))
    assert "0.260 cores, OVER 0.25" in more
