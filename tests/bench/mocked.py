"""`python -m tests.bench.mocked STACK_FILE` previews the whole program without an engine; prints its cost as JSON."""

import asyncio
import json
import logging
import resource
import runpy
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).parents[2]
HOST_KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"


class Echo(mocks.Mocks):
    """Returns every resource's inputs as its outputs."""

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Return nothing, because there was no update before this one."""
        return {}, []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Return the inputs, and what a command prints: a host key, or unknown if it is remote, as at first."""
        stdout = HOST_KEY if args.typ == "command:local:Command" else rpc.UNKNOWN
        printed = {"stdout": stdout, "stderr": ""} if args.typ.startswith("command:") else {}
        return f"{args.name}-id", {**args.inputs, **printed}


class Counter(mocks.MockMonitor):
    """Counts the registrations that an engine would get, which come from several threads."""

    registered = 0
    dependencies = 0
    kib = 0.0
    _counting = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:
        """Count the resource, its dependencies, and what is sent of it."""
        with self._counting:
            self.registered += 1
            self.dependencies += len(request.dependencies)
            self.kib += request.ByteSize() / 1024
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def main(file: Path) -> None:
    """Run the program once in this process."""
    logging.getLogger("pulumi").setLevel(logging.WARNING)
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    counter = Counter(Echo())
    pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in config.items()})
    # As in Pulumi's language host, the program makes the stack's resource; without one the mocks would.
    root: Any = object()
    set_root_resource(root)
    pulumi.runtime.set_mocks(counter.mocks, project="argus", stack="bench", preview=True, monitor=counter)
    set_root_resource(None)  # type: ignore[arg-type]

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"))

    start, began = time.perf_counter(), time.process_time()
    asyncio.run(run_in_stack(program))
    took = {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - began,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "resources": counter.registered,
        "dependencies": counter.dependencies,
        "kib": counter.kib,
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
