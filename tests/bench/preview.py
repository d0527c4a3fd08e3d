"""`make bench-preview`: what the program itself costs, in time and memory, as the number of machines grows.

Twice: under Pulumi's mocks, which is the Python program alone, and, where the lab's Pulumi is built, as a real
`pulumi preview` with its engine and plugins. No machine is reached.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from lab.config import ROOT, LabError
from lab.progress import step
from tests.bench.stacks import Config, Stack, committed, sized, unavailable, with_key
from tests.bench.table import footer, spread, table
from tests.unknown_key import UNKNOWN_KEY

SIZES = ("3+7", "3+97", "5+495")
HEADER = (
    "machines",
    "resources",
    "dependencies",
    "sent to the engine (MiB)",
    "program (s)",
    "its CPU (s)",
    "its peak (MiB)",
    "preview (s)",
    "CPU of all its processes (s)",
    "their peak (MiB)",
)
_SAMPLE_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sizes and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.preview", description=__doc__)
    parser.add_argument("--repeat", type=int, default=1, help="measurements of each size")
    parser.add_argument("--size", action="append", help="control planes + workers, such as 3+7; may be repeated")
    options = parser.parse_args(arguments)
    why_not = unavailable()
    rows = []
    try:
        for size in options.size or SIZES:
            with step(f"{size} machines"), tempfile.TemporaryDirectory(prefix="argus-bench-") as work:
                rows.append(_row(size, Path(work), options.repeat, real=why_not is None))
    except LabError as error:
        print(f"bench-preview: {error}", file=sys.stderr)
        return 1
    print(table(HEADER, rows))
    print(footer(options.repeat, "make bench-preview"))
    if why_not:
        print(f"No `pulumi preview`, because {why_not}: `make up` makes both.")
    return 0


def _row(size: str, folder: Path, repeat: int, *, real: bool) -> list[str]:
    control_planes, workers = map(int, size.split("+"))
    key = folder / "key"
    key.write_text(UNKNOWN_KEY)
    config = with_key(sized(committed("prod"), control_planes=control_planes, workers=workers), key)
    programs = [program(config, folder) for _ in range(repeat)]
    cells = [size, *(str(programs[0][counted]) for counted in ("resources", "dependencies"))]
    cells.append(f"{programs[0]['kib'] / 1024:.1f}")
    cells += [spread([each[measured] for each in programs]) for measured in ("seconds", "cpu", "mib")]
    if real:
        previews = [_preview(config, folder / f"preview-{number}") for number in range(repeat)]
        return [*cells, *(spread(column) for column in zip(*previews, strict=True))]
    return [*cells, "-", "-", "-"]


def program(config: Config, folder: Path) -> dict[str, Any]:
    """Run the program under mocks in a separate process."""
    file = folder / "Pulumi.bench.yaml"
    file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    command = [sys.executable, "-m", "tests.bench.mocked", str(file)]
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    took: dict[str, Any] = json.loads(done.stdout)
    return took


def _preview(config: Config, folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory (MiB) of one `pulumi preview`."""
    stack = Stack(folder, config)
    log = folder / "preview.log"
    start, cpu = time.perf_counter(), _cpu_of_children()
    peak = max(_memory(stack.command("preview"), stack.environment, log))
    return time.perf_counter() - start, _cpu_of_children() - cpu, peak


def _cpu_of_children() -> float:
    """The CPU seconds of all processes that this one has waited for, and of those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[float]:
    """Run the command and yield its memory with its children's (MiB) meanwhile. Raises LabError."""
    # Children are found by a separate session, because Pulumi gives its plugins other process groups.
    with log.open("w") as sink:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    while process.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SAMPLE_SECONDS)
        yield session_mib(process.pid)
    if process.returncode:
        raise LabError(f"exit status {process.returncode}: {' '.join(command)}\n{log.read_text()[-3000:]}")


def session_mib(session: int) -> float:
    """The resident memory of a session's processes; shared memory is counted for each."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The program's name, in parentheses, may contain spaces; the fields after it do not.
            fields = stat.read_text().rpartition(")")[2].split()
            pages += int(fields[21]) if int(fields[3]) == session else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
