"""Network policies are enforced on the running lab, beside its own network, while the cameras run.

Strangers reach exactly what the table lists, restarts of the program cost no frame, and switched off it leaves nothing.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.cluster import policy_agent
from components.pipeline.kafka import PORT
from components.pipeline.network_policies import flows, pods
from components.pipeline.stages import STAGES
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack
from tests.e2e.machines import EVERYBODY, kubectl, on, stack_with
from tests.e2e.strangers import running_settings, wait_until_all_reach_what_they_may
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

ENFORCED_LIMIT_S = 600
DAEMON_SET = f"-n {policy_agent.NAMESPACE} {{}} daemonset/{policy_agent.NAME}"


def unenforced() -> str | None:
    """None once every machine judges its pods' connections; until then what is missing."""
    (said,) = kubectl("cp1", f"-n {policy_agent.NAMESPACE} get daemonset {policy_agent.NAME} -o json | tr -d '\\n'")
    found = json.loads(said)
    status, generation = found["status"], found["metadata"]["generation"]
    ready = status.get("numberReady", 0) if status.get("observedGeneration") == generation else 0
    ready = min(ready, status.get("updatedNumberScheduled", 0))
    return None if ready == len(EVERYBODY) else f"{ready} of {len(EVERYBODY)} machines enforce policies"


def rules_of(machine: str) -> list[str]:
    """The rules on a machine that hand pods' connections to the program."""
    return [line for line in on(machine, "iptables -t mangle -S 2>/dev/null || true") if "ARGUS" in line]


@pytest.fixture(scope="module")
def enforcing(stack: Stack, tmp_path_factory: pytest.TempPathFactory, timings: Timings) -> Iterator[Path]:
    """The stack with policies enforced, and its file; the stack as it came afterwards."""

    def edit(config: dict[str, Any]) -> None:
        config["argus:cluster"]["networkPolicies"] = "enforced"

    file = stack_with(tmp_path_factory.mktemp("enforcing"), edit)
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    try:
        stack.up(file)
        wait_until("every machine enforces policies", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
        timings.took("network policies are enforced from now on", time.monotonic() - began, audit.close())
        yield file
    finally:
        stack.up()


def test_no_stranger_gets_in_and_every_frame_arrives(stack: Stack, enforcing: Path, timings: Timings) -> None:
    """Pods with the labels of each kind, or with none, reach exactly what the policies' table lists."""
    assert all(any("NFQUEUE" in rule for rule in rules_of(machine)) for machine in EVERYBODY)
    settings = running_settings()
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    table = flows(
        [model.name for model in settings.models],
        settings.kafka.transport,
        settings.zookeeper_transport,
        settings.elasticsearch.transport,
    )
    wait_until_all_reach_what_they_may(stack.cluster, pods(settings, STAGES), table)
    timings.took(
        "policies beside our network: strangers have tried every port", time.monotonic() - began, audit.close()
    )


def test_a_second_update_changes_nothing(stack: Stack, enforcing: Path) -> None:
    stack.pulumi("preview", "--expect-no-changes", "--config-file", str(enforcing))


def test_restarts_of_the_program_cost_no_frame(stack: Stack, enforcing: Path, timings: Timings) -> None:
    """One after the other, as an update does it, and then all of them at once without warning."""
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    kubectl("cp1", DAEMON_SET.format("rollout restart"))
    wait_until("the new pods", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
    for machine in EVERYBODY:
        on(machine, "pkill -KILL -x network-policie || true")
    wait_until("the programs again", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
    timings.took("the program that judges is restarted everywhere, twice", time.monotonic() - began, audit.close())


def test_switched_off_everything_is_open_again_and_no_frame_is_lost(stack: Stack, enforcing: Path) -> None:
    """The last test here: the stack is as it came."""
    audit = Audit.open(stack.cluster)
    stack.up()
    assert {machine: rules for machine in EVERYBODY if (rules := rules_of(machine))} == {}
    found = kubectl("cp1", f"-n {policy_agent.NAMESPACE} get daemonset,pod -l k8s-app={policy_agent.NAME} -o name")
    assert [name for name in found if name.startswith("daemonset")] == []
    broker = stack.cluster.pods("app.kubernetes.io/name=kafka")[0]["status"]["podIP"]
    script = f"import socket; socket.create_connection(('{broker}', {PORT}), 5); print('in')"
    (page, *_) = stack.cluster.pods("app.kubernetes.io/name=ui")
    name = page["metadata"]["name"]
    # The page may reach brokers in any case: what is tried is that nothing waits for a program that is gone.
    assert kubectl("cp1", f'-n argus exec {name} -- python -c "{script}"') == ["in"]
    audit.close()
