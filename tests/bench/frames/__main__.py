"""`make bench-frames`: raises the rate in steps on the running lab, and says which rates it keeps and what they cost.

Every step runs the dev stack with 40 MJPEG cameras of real footage. Before the first and after the last step the bare
loops show what the cores could do at best at that hour: B beside the resting lab, A with the lab's machines frozen.
"""

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.config.sections import ARGUS_WEIGHTS
from lab.cameras import clips
from lab.config import STACK_FILE, LabError
from lab.progress import say
from tests.bench.clock import LOGS
from tests.bench.frames import filled, loops
from tests.bench.frames.lab import Lab, frozen, is_up, restored
from tests.bench.frames.report import Run, draw, shown, write_csv
from tests.bench.frames.stack import AT_REST, fragment, merged
from tests.bench.frames.step import measure
from tests.bench.stacks import committed

RATES = (20.0, 40.0, 60.0, 80.0, 120.0, 174.0)
LOST_IN_A_ROW = 2
"""After so many rates that are not kept, higher ones are not tried: each costs many minutes of draining."""
YOLO = ARGUS_WEIGHTS / "scenes"
"""Argus's own weights that ultralytics can load: YOLO26n, 320x192."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write CSV and plot."""
    options = _parser().parse_args(arguments)
    run = Run()
    try:
        pictures = clips.ensure_pictures()
        if is_up():
            _on_the_lab(options, run, pictures)
        else:
            run.notes.append("The lab is not up: loop A alone was measured. `make up`, and again for the rates.")
            _loop_all(options, run, "A", pictures, options.models_fragment, before=True)
    except (LabError, AssertionError) as error:
        print(f"bench-frames: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        run.notes.append("Interrupted: this is what was measured until then.")
        return 130
    finally:
        _write(run, options.output)
    return 0


def _on_the_lab(options: argparse.Namespace, run: Run, pictures: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="argus-bench-") as folder:
        lab = Lab(Path(folder), options.models_fragment, options.settings_fragment, moving=options.moving)
        with restored(lab):
            _bare(options, run, lab, pictures, before=True)
            lost = 0
            for rate in sorted(options.rates):
                run.steps.append(measure(lab, rate, options.seconds))
                lost = 0 if run.steps[-1].kept else lost + 1
                print(f"\n{shown(Run(steps=run.steps[-1:]))}\n", flush=True)
                if lost == LOST_IN_A_ROW:
                    run.notes.append(f"Rates above {rate:g} were not tried: {lost} in a row were not kept.")
                    break
            if options.filled:
                run.filled = filled.measure(lab, options.filled, options.seconds)
            if options.keep and run.best:
                run.steps.append(measure(lab, run.best.wanted, options.keep * 60))
            _bare(options, run, lab, pictures, before=False)


def _bare(options: argparse.Namespace, run: Run, lab: Lab, pictures: Path, *, before: bool) -> None:
    """The loops beside the resting lab, and if wished with its machines frozen."""
    lab.apply(AT_REST)
    lab.wait_until_drained(AT_REST, 300)
    _loop_all(options, run, "B", pictures, lab.sections, before=before)
    if options.a == "frozen":
        with frozen():
            _loop_all(options, run, "A", pictures, lab.sections, before=before)
        lab.wait_until_steady()
        lab.wait_until_drained(AT_REST, 300)


def _loop_all(options: argparse.Namespace, run: Run, name: str, pictures: Path, models: Any, *, before: bool) -> None:
    """The detector's loop, and the one of ultralytics."""
    section = detector_section(models)
    say(f"loop {name}, {options.loop_seconds:g} s")
    when = "before" if before else "after"
    found = loops.detector_loop(section, pictures, options.loop_seconds, loops.processes())
    setattr(run.loop(name), when, found)
    python = options.ultralytics
    if python is None:
        _note(run, "The loop of ultralytics was left out: ULTRALYTICS=path/to/python names a Python that has it.")
        return
    say(f"loop {name} of ultralytics, {options.loop_seconds:g} s")
    setattr(run.loop(f"{name} of ultralytics"), when, loops.predict_loop(python, YOLO, pictures, options.loop_seconds))
    if section.get("weights") != YOLO.name:
        _note(run, "ultralytics cannot load the pipeline's weights: its loop has YOLO26n (weights: scenes, 320x192).")


def detector_section(models: Any) -> dict[str, Any]:
    """The section of the first model that looks for objects, of the dev stack with a fragment laid over it."""
    sections = merged(committed("dev")["argus:models"], models)
    found: dict[str, Any] | None = next((each for each in sections if each["kind"] == "objects"), None)
    if found is None:
        raise LabError(
            f"no model of {STACK_FILE.name} is of kind objects, so there is nothing that the loops could run"
        )
    return found


def _note(run: Run, text: str) -> None:
    if text not in run.notes:
        run.notes.append(text)


def _write(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = shown(run)
    print(f"\n{text}")
    (folder / "frames.txt").write_text(text + "\n", encoding="utf-8")
    write_csv(run, folder / "frames.csv")
    if run.steps:
        draw(run.steps, folder / "frames.png")
    print(f"\nAll figures: {folder}/frames.csv, plot: frames.png. Again: make bench-frames")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.frames", description=__doc__)
    parser.add_argument("--rates", type=_rates, default=RATES, help="frames/s of all 40 cameras, as 20,40,60")
    parser.add_argument("--seconds", type=float, default=120, help="of each step")
    parser.add_argument("--keep", type=float, default=10, help="minutes for the highest kept rate; 0: not again")
    parser.add_argument("--moving", type=_share, default=1.0, help="share of the cameras that see motion")
    parser.add_argument("--filled", type=int, default=0, help="also executors alone, on a topic with so many frames")
    parser.add_argument("--models", dest="models_fragment", type=fragment, default={}, help="YAML over argus:models")
    parser.add_argument(
        "--settings", dest="settings_fragment", type=fragment, default={}, help="YAML over all sections"
    )
    parser.add_argument("--a", choices=("frozen", "no"), default="no", help="frozen: loop A, the machines paused")
    parser.add_argument("--loop-seconds", type=float, default=30, help="of each bare loop")
    parser.add_argument("--ultralytics", type=Path, default=_own_ultralytics(), help="a Python that has ultralytics")
    parser.add_argument("--output", type=Path, default=LOGS / "frames", help="the folder of table, CSV and plot")
    return parser


def _rates(said: str) -> tuple[float, ...]:
    found = tuple(float(each) for each in said.split(",") if each.strip())
    if not found or min(found) <= 0:
        raise argparse.ArgumentTypeError(f"{said!r}: frames/s above 0, with commas between them")
    return found


def _share(said: str) -> float:
    found = float(said)
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"{said!r}: a share, from 0 to 1")
    return found


def _own_ultralytics() -> Path | None:
    """This Python, if it has ultralytics."""
    return Path(sys.executable) if importlib.util.find_spec("ultralytics") else None


if __name__ == "__main__":
    sys.exit(main())
