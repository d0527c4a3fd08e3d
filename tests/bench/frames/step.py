"""One step: follow the lab at one rate for some seconds, and audit every frame of it."""

import os
from collections.abc import Mapping

from lab.progress import say
from tests.bench.frames.cpu import Meter, Usage, metered
from tests.bench.frames.figures import Latency, faults, slope
from tests.bench.frames.lab import DRAIN_LIMIT_S, Lab, known
from tests.bench.frames.network import Entrance, watching
from tests.bench.frames.programs import Pods, Program, by_program
from tests.bench.frames.report import Cpu, Step
from tests.bench.frames.stack import AT_REST
from tests.bench.frames.watch import Seen
from tests.e2e.accounting import Audit

WARM_UP_LIMIT_S = 90
"""How long models may take to be up to date after a change of the rate, before they are measured as they are."""


def measure(lab: Lab, rate: float, seconds: float) -> Step:
    """Apply the rate and measure it. A rate that is not kept ends with the cameras at rest and nothing behind."""
    lab.apply(rate)
    lab.wait_until_drained(rate, WARM_UP_LIMIT_S)
    audit = Audit.open(lab.cluster)
    seen, cpu, memory = followed(lab, f"{rate:g} frames/s", seconds)
    slopes = {model: slope(list(zip(seen.at, lags, strict=True))) for model, lags in seen.lags.items()}
    found = faults(rate, reached(seen), slopes)
    if found:
        # At the full rate the backlog would grow while the audit waits for its end.
        lab.apply(AT_REST)
        lab.wait_until_drained(AT_REST, DRAIN_LIMIT_S)
    try:
        sets = audit.close()
    except AssertionError as missing:
        sets = str(missing)
        found.append("not every frame is in every sink once")
    return Step(
        wanted=rate,
        reached=reached(seen),
        slopes=slopes,
        lags={model: lags[-1] for model, lags in seen.lags.items()},
        faults=found,
        sets=sets,
        to_kafka=Latency.of(seen.to_kafka),
        to_result=Latency.of([each for model in seen.to_result.values() for each in model]),
        to_search=Latency.of(seen.to_search),
        looked={model: sum(looks) / len(looks) for model, looks in seen.looked.items() if looks},
        not_searchable=seen.not_searchable,
        cpu=cpu,
        memory=memory,
        seconds=seconds,
    )


def followed(lab: Lab, what: str, seconds: float) -> tuple[Seen, Cpu, Mapping[Program, int]]:
    """What was seen of the lab's frames and results for so long, and the CPU and memory by program meanwhile."""
    entrance, pods = Entrance.find(lab.cluster), known(Pods(), lab)
    say(f"{what}: measuring for {seconds:.0f} s")
    with watching(entrance, lab.models, seconds) as watched:
        meter = Meter(instrument=os.getpid())
        with metered(meter):
            watched.wait_for_the_end()
        usage = meter.look()
        memory = by_program(meter.memory(), known(pods, lab))
        seen = watched.seen()
    return seen, cpu_of(usage, pods), memory


def reached(seen: Seen) -> float:
    """The frames that came into Kafka each second."""
    return (seen.frames[-1] - seen.frames[0]) / (seen.at[-1] - seen.at[0])


def cpu_of(usage: Usage, pods: Pods) -> Cpu:
    """The usage by program."""
    return Cpu(
        seconds=usage.seconds,
        programs=by_program(usage.programs, pods),
        busy=usage.host.busy,
        softirq=usage.host.irq + usage.host.softirq,
        steal=usage.host.steal,
        unexplained=usage.unexplained,
    )
