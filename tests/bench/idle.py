"""`make bench-idle`: the cores that the lab uses with its cameras at rest (0.02 frames/s each), by program."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lab.config import LabError
from lab.progress import say
from tests.bench.frames.cpu import Meter, metered
from tests.bench.frames.lab import Lab, is_up, known, restored
from tests.bench.frames.programs import Pods, total
from tests.bench.frames.report import LOAD, Cpu, shown_cores
from tests.bench.frames.stack import AT_REST, fragment
from tests.bench.frames.step import cpu_of
from tests.bench.table import table

CLUSTER = "kubelet, containerd and its shims, kube-*, etcd, CoreDNS, HAProxy, keepalived and metrics-server"
CLUSTER_LIMIT, ALL_LIMIT = 0.25, 0.45
"""The cores that these and all of the lab may use at rest."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--settle", type=float, default=120, help="seconds to wait first: JVMs still compile")
    parser.add_argument("--models", type=fragment, default={}, help="YAML over argus:models")
    parser.add_argument("--settings", type=fragment, default={}, help="YAML over all sections")
    options = parser.parse_args(arguments)
    try:
        if not is_up():
            raise LabError("the lab is not up: make up")
        with tempfile.TemporaryDirectory(prefix="argus-bench-") as folder:
            lab = Lab(Path(folder), options.models, options.settings)
            with restored(lab):
                lab.apply(AT_REST)
                lab.wait_until_drained(AT_REST, 300)
                time.sleep(options.settle)
                print(shown(at_rest(lab, options.seconds)))
    except (LabError, AssertionError) as error:
        print(f"bench-idle: {error}", file=sys.stderr)
        return 1
    return 0


def at_rest(lab: Lab, seconds: float) -> Cpu:
    """The CPU of so many seconds."""
    pods = known(Pods(), lab)
    say(f"measuring for {seconds:.0f} s")
    meter = Meter(instrument=os.getpid())
    with metered(meter):
        time.sleep(seconds)
    return cpu_of(meter.look(), known(pods, lab))


def shown(cpu: Cpu) -> str:
    """The table by program, and the two sums beside their limits."""
    cluster, everything = (cpu.cores(total(cpu.programs, *parts)) for parts in (("cluster",), LOAD))
    return "\n\n".join((
        table(("program", "cores"), shown_cores(cpu)),
        f"{CLUSTER}: {_beside(cluster, CLUSTER_LIMIT)}",
        f"All of the lab with the pipeline, the kernel's threads and the cameras: {_beside(everything, ALL_LIMIT)}",
        f"Busy over {cpu.seconds:.0f} s: {cpu.cores(cpu.busy):.3f} cores, of which {cpu.unexplained:.1%} unexplained; "
        f"softirq, in the above: {cpu.cores(cpu.softirq):.3f}; stolen by the hypervisor, beside it: "
        f"{cpu.cores(cpu.steal):.3f}",
    ))  # fmt: skip


def _beside(cores: float, limit: float) -> str:
    return f"{cores:.3f} cores, {'within' if cores <= limit else 'OVER'} {limit}"


if __name__ == "__main__":
    sys.exit(main())
