"""A stack of the whole program whose state the real engine wrote in a complete `pulumi up`, with the plugins' stand-ins.

There is no machine and no cluster: what the plugins foresee is taken for done.
"""

import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import toolchain
from tests import edits
from tests.bench.stacks import Stack
from tests.integration.providers.foreseen import foreseeing

SECONDS = 1800

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "argus",
    "contexts": [{"name": "argus", "context": {"cluster": "argus", "user": "admin"}}],
    "clusters": [{"name": "argus", "cluster": {"server": "https://192.0.2.10:8443"}}],
    "users": [{"name": "admin", "user": {"token": "secret"}}],
}
PROVIDERS = frozenset({"cluster", "cluster-provider"})
"""Their update is claimed wherever the kubeconfig is read again, as it may be another one."""


@dataclass(frozen=True)
class Preview:
    """What a preview claims."""

    steps: Mapping[str, frozenset[str]]
    """The URNs of resources by operation, without `same`; without components, which do nothing."""
    error: str = ""
    """What the program was ended by."""

    def names(self) -> dict[str, set[str]]:
        """The names of the resources, by operation."""
        return {operation: {urn.rpartition("::")[2] for urn in urns} for operation, urns in self.steps.items()}


class Site:
    """The stack of docs/edits.md."""

    def __init__(
        self,
        folder: Path,
        plugins: Path,
        *,
        given: edits.Change | None = None,
        client: str | None = None,
        **variables: str,
    ) -> None:
        """`given` is a change that the stack has from the first; `client` is the address of a language host to use
        instead of Pulumi's own."""
        self._given = given
        self._client = [] if client is None else [f"--client={client}"]
        self._stack = Stack(folder, self._config(), plugins=plugins / "plugins")
        self._stack.environment |= variables

    def _config(self, change: edits.Change | None = None) -> dict[str, Any]:
        config = edits.stack(self._given)
        if change:
            change(config)
        return {f"argus:{name}": section for name, section in config.items()}

    def up(self, **variables: str) -> None:
        """Let the engine write the state of a complete `pulumi up`."""
        programs = toolchain.ensure_providers()
        with ExitStack() as running:
            ports = {
                name: running.enter_context(foreseeing(programs / f"pulumi-resource-{name}", answers))
                for name in ("command", "kubernetes")
            }
            debug = ",".join(f"{name}:{port}" for name, port in ports.items())
            # The state is written once, at the end, instead of after each of hundreds of resources.
            once = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
            done = self._run("up", "--yes", "--skip-preview", PULUMI_DEBUG_PROVIDERS=debug, **once, **variables)
        assert done.returncode == 0, _end(done)

    def preview(self, change: edits.Change | None = None, *arguments: str, **variables: str) -> Preview:
        """What a preview of the changed stack claims."""
        self._stack.configure(self._config(change))
        done = self._run("preview", "--json", *arguments, **variables)
        assert done.stdout.startswith("{"), _end(done)
        found = json.loads(done.stdout)
        steps: dict[str, set[str]] = {}
        for step in found["steps"]:
            if step["op"] != "same" and (step.get("newState") or step["oldState"]).get("custom"):
                steps.setdefault(step["op"], set()).add(step["urn"])
        errors = [each["message"] for each in found.get("diagnostics", ()) if each["severity"] == "error"]
        assert bool(errors) == (done.returncode != 0), _end(done)
        error = errors[0].removeprefix("error: ") if errors else ""
        return Preview({operation: frozenset(urns) for operation, urns in steps.items()}, error)

    def _run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._stack.command(*arguments, *self._client),
            env={**self._stack.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stdout[-3000:] + done.stderr[-3000:]


def answers(kind: str, name: str, inputs: dict[str, Any]) -> Mapping[str, str]:
    """What a resource answers when it is made on machines that are fit."""
    if name == "cluster-kubeconfig-read":
        return {"stdout": f"# asked\n{yaml.safe_dump(KUBECONFIG)}", "stderr": ""}
    return edits.prints(kind, name, inputs, server="") if kind in edits.COMMANDS else {"clusterIP": "10.96.0.2"}
