"""Network policies are enforced on the lab, beside Argus's own network, while the cameras run.

Strangers reach exactly what the table lists, restarts of the program cost no frame, and switched off it leaves nothing.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from components.cluster import policy_agent
from components.pipeline.kafka import ports
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack, running_settings
from tests.e2e.machines import EVERYBODY, kubectl, on, stack_with
from tests.e2e.strangers import (
    outsiders,
    strangers,
    surprises_with_credentials_of_all,
    told_by_the_page,
    wait_until_all_reach_what_they_may,
    wait_until_nobody_is_served,
)
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

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


@pytest.fixture(scope="module", autouse=True)
def enforced(stack: Stack) -> None:
    """Every machine enforces policies: an update does not wait for that."""
    wait_until("every machine enforces policies", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)


def test_who_belongs_to_no_stage_reaches_the_page_and_nothing_else(stack: Stack) -> None:
    assert all(any("NFQUEUE" in rule for rule in rules_of(machine)) for machine in EVERYBODY)
    wait_until_all_reach_what_they_may(stack.cluster, outsiders)


def test_a_pod_without_a_login_is_shown_nothing_by_the_page(stack: Stack) -> None:
    """Every address reaches it, whatever the policies say."""
    paths = ("/api/wall", "/api/search", "/api/cameras", "/api/cameras/cam-01/frames/1.jpg")
    assert told_by_the_page(stack.cluster, paths) == dict.fromkeys(paths, 401)


@pytest.mark.full
def test_whose_labels_let_it_in_is_served_by_nobody_without_a_certificate_token_or_secret(stack: Stack) -> None:
    """By no broker, member of ZooKeeper, node of Elasticsearch, producer, consumer, driver or executor."""
    wait_until_nobody_is_served(stack.cluster)


def test_with_the_credentials_of_another_stage_one_gets_what_that_stage_may_and_nothing_else(stack: Stack) -> None:
    assert surprises_with_credentials_of_all(stack.cluster) == {}


@pytest.mark.full
def test_each_stage_reaches_what_its_work_needs_and_every_frame_arrives(stack: Stack, timings: Timings) -> None:
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    wait_until_all_reach_what_they_may(stack.cluster, strangers)
    timings.took(
        "policies beside our network: strangers have tried every port", time.monotonic() - began, audit.close()
    )


@pytest.mark.full
def test_restarts_of_the_program_cost_no_frame(stack: Stack, timings: Timings) -> None:
    """One after the other, as an update does it, and then all of them at once without warning."""
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    kubectl("cp1", DAEMON_SET.format("rollout restart"))
    wait_until("the new pods", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
    for machine in EVERYBODY:
        on(machine, "pkill -KILL -x network-policie || true")
    wait_until("the programs again", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
    timings.took("the program that judges is restarted everywhere, twice", time.monotonic() - began, audit.close())


@pytest.mark.full
def test_switched_off_everything_is_open_and_switched_on_again_no_frame_is_lost(
    stack: Stack, tmp_path: Path, timings: Timings
) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["argus:cluster"]["networkPolicies"] = "declared"

    audit = Audit.open(stack.cluster)
    try:
        stack.up(stack_with(tmp_path, edit))
        assert {machine: rules for machine in EVERYBODY if (rules := rules_of(machine))} == {}
        found = kubectl("cp1", f"-n {policy_agent.NAMESPACE} get daemonset,pod -l k8s-app={policy_agent.NAME} -o name")
        assert [name for name in found if name.startswith("daemonset")] == []
        (broker, *_), (page, *_) = (stack.cluster.pods(f"app.kubernetes.io/name={name}") for name in ("kafka", "ui"))
        (port, *_) = ports(running_settings().kafka.transport).values()
        script = f"import socket; socket.create_connection(('{broker['status']['podIP']}', {port}), 5); print('in')"
        # The page may reach brokers in any case: what is tried is that nothing waits for a program that is gone.
        assert kubectl("cp1", f'-n argus exec {page["metadata"]["name"]} -- python -c "{script}"') == ["in"]
    finally:
        began = time.monotonic()
        stack.up()
    wait_until("every machine enforces policies", unenforced, limit_s=ENFORCED_LIMIT_S, pause_s=2)
    timings.took("network policies are enforced from now on", time.monotonic() - began, audit.close())
