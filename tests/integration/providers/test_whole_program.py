"""What `pulumi preview` claims of the whole program: the real engine with the plugins' stand-ins, and a stack whose state
the engine wrote in a complete `pulumi up`. There is no machine and no cluster.

All three read the kubeconfig again. What is read then is not known in a preview, which would claim an update of every
object if the providers were not given the last one.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import toolchain
from tests import edits
from tests.bench.stacks import Stack
from tests.integration.providers.foreseen import foreseeing

pytestmark = pytest.mark.full

SECONDS = 1800
NOW, NEXT_QUARTER = datetime(2026, 5, 15, 12), datetime(2026, 8, 15, 12)
CLOCK = """
import datetime, os
class Now(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(os.environ["NOW"]).replace(tzinfo=tz)
datetime.datetime = Now
"""
"""Sets the program's calendar; Python runs it first."""

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "argus",
    "contexts": [{"name": "argus", "context": {"cluster": "argus", "user": "admin"}}],
    "clusters": [{"name": "argus", "cluster": {"server": "https://192.0.2.10:8443"}}],
    "users": [{"name": "admin", "user": {"token": "secret"}}],
}
PROVIDERS = {"cluster", "cluster-provider"}
"""Their update is claimed wherever the kubeconfig is read again, as it may be another one."""

Claims = Mapping[str, set[str]]
"""The names of the resources that a preview would change, by operation; without components, which do nothing."""


class Site:
    """A stack that was brought up."""

    def __init__(self, folder: Path, plugins: Path) -> None:
        (folder / "clock").mkdir()
        (folder / "clock/sitecustomize.py").write_text(CLOCK)
        self._stack = Stack(folder, self._config(), plugins=plugins / "plugins")
        self._stack.environment["PYTHONPATH"] = str(folder / "clock")

    def _config(self, change: edits.Change | None = None) -> dict[str, Any]:
        config = edits.stack()
        if change:
            change(config)
        return {f"argus:{name}": section for name, section in config.items()}

    def up(self, ports: Mapping[str, int]) -> None:
        """Let the engine write the state of a complete `pulumi up` by the plugins at these ports."""
        debug = ",".join(f"{name}:{port}" for name, port in ports.items())
        # The state is written once, at the end, instead of after each of hundreds of resources.
        once = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
        self._run("up", "--yes", "--skip-preview", now=NOW, PULUMI_DEBUG_PROVIDERS=debug, **once)

    def claims(self, change: edits.Change | None = None, *arguments: str, now: datetime = NOW) -> Claims:
        """What a preview of the changed stack claims."""
        self._stack.configure(self._config(change))
        found: dict[str, set[str]] = {}
        for step in json.loads(self._run("preview", "--json", *arguments, now=now))["steps"]:
            if step["op"] != "same" and (step.get("newState") or step["oldState"]).get("custom"):
                found.setdefault(step["op"], set()).add(step["urn"].rpartition("::")[2])
        return found

    def _run(self, *arguments: str, now: datetime, **variables: str) -> str:
        done = subprocess.run(
            self._stack.command(*arguments),
            env={**self._stack.environment, "NOW": now.isoformat(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


def answers(kind: str, name: str, inputs: dict[str, Any]) -> Mapping[str, str]:
    """What a resource answers when it is made on machines that are fit."""
    if name == "cluster-kubeconfig-read":
        return {"stdout": f"# asked\n{yaml.safe_dump(KUBECONFIG)}", "stderr": ""}
    return edits.prints(kind, name, inputs, server="") if kind in edits.COMMANDS else {"clusterIP": "10.96.0.2"}


@pytest.fixture(scope="module")
def site(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    programs = toolchain.ensure_providers()
    run = partial(foreseeing, answers=answers)
    with edits.at_home():
        made = Site(tmp_path_factory.mktemp("site"), plugins)
        with ExitStack() as running:
            names = ("command", "kubernetes")
            made.up({name: running.enter_context(run(programs / f"pulumi-resource-{name}")) for name in names})
        yield made


@pytest.fixture(scope="module")
def declared(site: Site) -> tuple[edits.Program, Any]:
    """What the program itself declares of the same stack, under Pulumi's mocks."""
    return edits.brought_up()


def names(resources: Sequence[Any]) -> set[str]:
    return {each.name for each in resources}


def mend(config: edits.Config) -> None:
    config["ssh"]["rerun"] = "2026-11-29"


def test_a_second_update_changes_nothing(site: Site) -> None:
    assert site.claims() == {}


AFTER_MORE = {
    f"cluster-{each}" for name in ("cp1", "cp2", "cp3", "worker1") for each in (f"network-{name}", f"{name}-joined")
}
"""With a new node each node's routes change. An invitation of a node stays as it is, but a preview cannot know that."""


@pytest.mark.parametrize(("change", "follows"), [(mend, set()), (edits.add_control_planes, AFTER_MORE)])
def test_mending_and_more_control_planes_replace_nothing_and_leave_pods_alone(
    site: Site, declared: tuple[edits.Program, Any], change: edits.Change, follows: set[str]
) -> None:
    program, before = declared
    effect = program.effect(edits.Sample(says="", change=change), before)
    assert not effect.refused and not effect.replaced and not effect.deleted
    claims = site.claims(change)
    assert claims.keys() <= {"create", "update"}
    assert claims.get("create", set()) == names(effect.created)
    assert claims["update"] == names(effect.updated) | PROVIDERS | follows


def test_a_new_quarter_renews_kubeconfig_and_certificate_in_their_places(site: Site) -> None:
    renewed = {"cluster-kubeconfig-read", "ui-tls-page", "ui-tls-secret"}
    assert site.claims(now=NEXT_QUARTER) == {"update": renewed | PROVIDERS}


def test_search_nodes_that_have_lost_all_disks_are_told_by_two_resources(site: Site) -> None:
    """As in docs/operations.md."""
    ours = ("elasticsearch-template-job", "elasticsearch-formed")
    claims = site.claims(None, *(word for name in ours for word in ("--replace", f"**::{name}")))
    assert set().union(*claims.values()) == set(ours)
