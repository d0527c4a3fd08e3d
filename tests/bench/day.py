"""Simulates a day of the user's load with the rules that scale the stages: its cost, and the first limit.

`make bench-day` needs no cluster: the rules are the program's own, the costs per frame were measured on the lab. The
capacity of a machine is an assumption and is printed as such.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from apps.spark_jobs.scaling import ROOM, Limits
from components.config.sections import ConsumerReplicas, Executors, FilebeatReplicas, Kafka, LagReplicas
from components.pipeline.model_job import MAX_OFFSETS_PER_TASK
from components.production.measured import CONSUMER, FILEBEAT, FRAME_BYTES, MOTION, OBJECTS, RESULT_BYTES, Cost
from tests.bench.simulated import Moment, pods, spark_job
from tests.bench.table import table

DAY_SECONDS = 86_400
FRAMES_A_DAY = 15_000_000
"""From 40 cameras: 174 per second on average."""

HOURS = (4, 3, 3, 3, 3, 4, 6, 9, 12, 13, 13, 14, 14, 14, 13, 13, 14, 16, 16, 14, 11, 8, 6, 5)
"""Relative load by hour, like a shop's or a street's day. The peak is 1.7 times the average."""

NOISE = 0.15
"""The largest relative deviation of the load from the hour's."""

PARTITIONS, BROKERS = Kafka().partitions, Kafka().replicas
COPIES = 3
BROKER_MB_S = 100
MACHINE_CORES = 8
"""Assumptions: a broker's write rate to its disk, with room for readers; and a machine's cores."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage over a day."""

    name: str
    cost: Cost
    records_per_frame: int
    run: Callable[[float], Iterator[Moment]]
    """Takes the number of cameras."""


def load(cameras: float, records_per_frame: int = 1) -> Callable[[float], float]:
    """Records per second by second of the day, for this many cameras, with noise; the same on every call."""
    scale = _frames_a_share(cameras) * records_per_frame
    noise = random.Random(40)
    wobble = [1 + noise.uniform(-NOISE, NOISE) for _ in range(DAY_SECONDS // 10 + 1)]

    def at(second: float) -> float:
        hour = second / 3600 % 24
        before, after = HOURS[int(hour)], HOURS[(int(hour) + 1) % 24]
        return scale * (before + (after - before) * (hour % 1)) * wobble[int(second // 10) % len(wobble)]

    return at


def peak(cameras: float) -> float:
    """Frames per second in the busiest hour, without noise."""
    return _frames_a_share(cameras) * max(HOURS)


def _frames_a_share(cameras: float) -> float:
    """Frames per second in an hour whose share is one."""
    return FRAMES_A_DAY / DAY_SECONDS * cameras / 40 * len(HOURS) / sum(HOURS)


def model(name: str, cost: Cost, maximum: int) -> Stage:
    """A model whose executors have one core each."""
    rate = 1000 / cost.record_ms
    defaults = Executors()

    def run(cameras: float) -> Iterator[Moment]:
        limits = Limits(
            minimum=1,
            maximum=maximum,
            target_lag_seconds=defaults.target_lag_seconds,
            cool_down_seconds=defaults.cool_down_seconds,
        )
        return spark_job(
            load(cameras),
            DAY_SECONDS,
            limits=limits,
            rate=lambda executors: rate * executors,
            most_rows=lambda executors: MAX_OFFSETS_PER_TASK * executors,
        )

    return Stage(name=name, cost=cost, records_per_frame=1, run=run)


def group(name: str, cost: Cost, replicas: LagReplicas, records_per_frame: int) -> Stage:
    """Pods of one consumer group."""

    def run(cameras: float) -> Iterator[Moment]:
        return pods(
            load(cameras, records_per_frame),
            DAY_SECONDS,
            replicas=replicas,
            millicores=lambda records: cost.base_millicores + records * cost.record_ms,
            rate=replicas.records_per_second,
        )

    return Stage(name=name, cost=cost, records_per_frame=records_per_frame, run=run)


def stages(most: int = PARTITIONS) -> list[Stage]:
    """All stages that scale, up to the number of partitions."""
    return [
        model("objects", OBJECTS, most),
        model("motion", MOTION, most),
        group("consumer", CONSUMER, ConsumerReplicas.model_validate({"maximum": most}), 3),
        group("filebeat", FILEBEAT, FilebeatReplicas.model_validate({"maximum": most}), 2),
    ]


@dataclass(frozen=True, kw_only=True)
class Day:
    """A stage's results over a day."""

    stage: Stage
    fewest: int
    most: int
    pod_hours: float
    core_hours: float
    """Used, not reserved."""
    worst_lag_seconds: float
    """The largest lag, in seconds of the load at that time."""
    changes: int

    @property
    def of_fixed(self) -> float:
        """Pod-hours as a share of those with a fixed number of pods for the peak."""
        return self.pod_hours / (24 * self.most)


def day(stage: Stage, cameras: float) -> Day:
    """Run one stage through the day."""
    arriving = load(cameras, stage.records_per_frame)
    moments = list(stage.run(cameras))
    pod_hours = sum((b.at - a.at) * a.pods for a, b in pairwise(moments)) / 3600
    records = sum(arriving(second) for second in range(0, DAY_SECONDS, 10)) * 10
    return Day(
        stage=stage,
        fewest=min(each.pods for each in moments),
        most=max(each.pods for each in moments),
        pod_hours=pod_hours,
        core_hours=stage.cost.cores(pod_hours, records / 3600),
        worst_lag_seconds=max(each.waiting / arriving(each.at) for each in moments[1:]),
        changes=sum(a.pods != b.pods for a, b in pairwise(moments)),
    )


def limits(cameras: float) -> list[tuple[str, float, str]]:
    """Each limit: its name, the share that the busiest hour uses, and what to change."""
    frames = peak(cameras)
    tasks = frames * OBJECTS.record_ms / 1000 / ROOM
    written = frames * (FRAME_BYTES.value + 2 * RESULT_BYTES.value) * COPIES / BROKERS / 1e6
    records = frames * 3 / ConsumerReplicas().records_per_second
    brokers = math.ceil(written * BROKERS / BROKER_MB_S)
    partitions = 2 ** math.ceil(math.log2(max(tasks, PARTITIONS)))
    return [
        ("partitions (tasks of objects)", tasks / PARTITIONS, f"kafka.partitions: {partitions}"),
        (
            "brokers (MB/s written)",
            written / BROKER_MB_S,
            f"kafka.replicas: {brokers}",
        ),
        ("consumers, as many as partitions", records / PARTITIONS, f"consumer.replicas.maximum: {math.ceil(records)}"),
    ]


def machines(cameras: float) -> int:
    """The machines of MACHINE_CORES that the models need in the busiest hour, with the rules' reserve."""
    cores = peak(cameras) * (OBJECTS.record_ms + MOTION.record_ms) / 1000 / ROOM
    return math.ceil(cores / MACHINE_CORES)


def shown(days: Sequence[Day]) -> str:
    """A table of the stages over a day."""
    header = ("stage", "pods (fewest / most)", "changes", "pod-hours", "of fixed", "core-hours", "worst lag (s)")
    return table(
        header,
        [
            [
                each.stage.name,
                f"{each.fewest} / {each.most}",
                str(each.changes),
                f"{each.pod_hours:.0f}",
                f"{each.of_fixed:.2f}",
                f"{each.core_hours:.1f}",
                f"{each.worst_lag_seconds:.1f}",
            ]
            for each in days
        ],
    )


def shown_limits() -> str:
    """A table of the limits, to show which comes first."""
    rows = []
    for cameras in (40, 400, 4000):
        for number, (name, share, change) in enumerate(sorted(limits(cameras), key=lambda each: -each[1])):
            what = change if share > 1 else "nothing"
            rows.append([str(cameras) if number == 0 else "", name, f"{share:.2f}", what])
        rows.append(
            ["", f"machines of {MACHINE_CORES} cores for the models", str(machines(cameras)), "argus:machines.workers"]
        )
    return table(("cameras", "limit, the first one first", "share taken at the peak", "change"), rows)


def main() -> None:
    """Print both tables."""
    print(f"40 cameras, {FRAMES_A_DAY:,} frames a day, {peak(40):.0f} frames/s in the busiest hour; simulated:\n")
    days = [day(stage, 40) for stage in stages()]
    print(shown(days))
    together, fixed = sum(each.pod_hours for each in days), sum(24 * each.most for each in days)
    cores = sum(each.core_hours for each in days)
    print(
        f"\nTogether {together:.0f} pod-hours of {fixed:.0f} for fixed numbers; {cores / 24:.1f} cores used on average."
    )
    print(
        f"\nAssumed: a broker writes {BROKER_MB_S} MB/s, {BROKERS} brokers, {COPIES} copies, {PARTITIONS} partitions.\n"
    )
    print(shown_limits())


if __name__ == "__main__":
    main()
