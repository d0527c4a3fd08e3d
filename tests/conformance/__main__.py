"""`make conformance`: Kubernetes' own conformance tests on the running lab, by their own runner, Hydrophone.

The cluster's pipeline goes on beside them. skipped.yaml names what is left out; every other conformance test must run
and pass. Afterwards nothing of it is left in the cluster.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence

import yaml

from lab import services, stack, toolchain
from lab.config import ROOT, LabError
from lab.progress import say, step
from lab.shell import run
from lab.toolchain import Toolchain
from lab.toolchain.conformance import ensure_images
from lab.toolchain.images import push_images
from lab.toolchain.releases import CONFORMANCE
from tests.conformance import results, selection
from tests.conformance.cluster import Cluster
from tests.conformance.results import Result
from tests.conformance.selection import Selection

FOLDER = ROOT / "artifacts" / "conformance"
_LIST_SECONDS = 120
_SLOWEST = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests. Returns 0 if every selected test passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--parallel", type=int, default=6, help="tests at a time")
    parser.add_argument("--minutes", type=int, default=75, help="when tests that still run are ended, as failed")
    parser.add_argument("--list", action="store_true", help="say what would run and what not, and why; needs no lab")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="tests whose name holds this")
    options = parser.parse_args(arguments)
    try:
        return _list() if options.list else _run(options.parallel, options.minutes, options.only)
    except LabError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("conformance: interrupted", file=sys.stderr)
        return 130


def _list() -> int:
    chosen = _select(_programs())
    for reason, tests in chosen.skipped.items():
        print(f"\n# {reason}", *tests, sep="\n")
    print("\n# selected", *chosen.selected, sep="\n")
    print(f"\n{overview(chosen)}")
    return 0


def _run(parallel: int, minutes: int, parts: Sequence[str]) -> int:
    services.require()
    tools = _programs()
    chosen = _select(tools)
    if parts:
        chosen = selection.only(chosen, parts)
    say(overview(chosen))
    with step("images of the conformance tests"):
        push_images(ensure_images(tools))
    cluster = Cluster(tools, stack.kubeconfig(), FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cluster.clean_up()
    start = time.monotonic()
    try:
        with step(f"{len(chosen.selected)} tests, {parallel} at a time, at most {minutes} minutes"):
            # All full names, because a part of a name may also be in a skipped test's.
            focus = selection.expression(chosen.selected) if parts else ""
            found = results.read(cluster.run_tests(selection.skipped(selection.read()), parallel, minutes, focus))
        print(summary(chosen, found, time.monotonic() - start))
    finally:
        with step("cleaning up"):
            cluster.clean_up()
    return 1 if results.problems(chosen.selected, found) else 0


def overview(chosen: Selection) -> str:
    """The number of tests that run, and of those skipped by reason."""
    lines = [
        f"{len(chosen.selected)} of Kubernetes {CONFORMANCE.version}'s {chosen.total} conformance tests are selected"
    ]
    lines += [f"  {len(tests):3} skipped: {reason}" for reason, tests in chosen.skipped.items()]
    return "\n".join(lines)


def summary(chosen: Selection, found: Sequence[Result], seconds: float) -> str:
    """The numbers, the slowest tests, and at the end the problems."""
    slowest = sorted(found, key=lambda each: each.seconds, reverse=True)[:_SLOWEST]
    wrong = results.problems(chosen.selected, found)
    passed = sum(each.state == "passed" for each in found)
    together = sum(each.seconds for each in found)
    lines = [
        overview(chosen),
        f"{passed} passed in {seconds / 60:.0f} minutes; one after the other they would take {together / 60:.0f}",
        "The slowest:",
        *(f"  {each.seconds:5.0f} s  {each.name}" for each in slowest),
    ]
    if wrong:
        said = {f"{each.state}: {each.name}": each.said for each in found if each.said}
        lines.append(f"{len(wrong)} did not pass (what they said: {FOLDER / 'e2e.log'}):")
        lines += [line for each in wrong for line in (f"  {each}", *_first_lines(said.get(each, "")))]
    return "\n".join(lines)


def _first_lines(said: str, count: int = 3) -> list[str]:
    return [f"      {line.strip()}" for line in said.splitlines() if line.strip()][:count]


def _programs() -> Toolchain:
    with step(f"programs of Kubernetes {CONFORMANCE.version}'s conformance tests (built once)"):
        return toolchain.ensure(CONFORMANCE)


def _select(tools: Toolchain) -> Selection:
    listed = run([str(tools.program("e2e.test")), "--list-conformance-tests"], timeout=_LIST_SECONDS).stdout
    return selection.select(selection.read(), [test["codename"] for test in yaml.safe_load(listed)])


if __name__ == "__main__":
    sys.exit(main())
