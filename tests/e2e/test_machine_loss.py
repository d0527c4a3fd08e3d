"""A machine loses its power, and nothing else does: the API, the pods and every frame are there without it.

`make test` takes the machines that matter most: the holder of the virtual IP and a worker. `make test-full` takes each.
"""

import time
from collections import Counter
from pathlib import Path

import pytest

from lab.config import kubernetes_endpoint, machines
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.machines import holder_of_the_endpoint, missing_pods, unready_nodes, workloads
from tests.e2e.waiting import wait_until

API_LIMIT_S, PODS_LIMIT_S, RETURN_LIMIT_S = 10, 60, 300
STATEFUL = ("zookeeper/", "kafka/", "elasticsearch/", "consumer/")
"""These stay by their data and come back with the machine; the others serve without them meanwhile."""
EVERYBODY = [machine.name for machine in machines()]
CONTROL_PLANES = [name for name in EVERYBODY if name.startswith("cp")]


@pytest.mark.parametrize(
    "victim",
    ["the holder of the virtual IP", "worker1", *(pytest.param(name, marks=pytest.mark.full) for name in EVERYBODY)],
)
def test_a_dead_machine_is_missed_by_nobody(stack: Stack, artifacts: Path, victim: str) -> None:
    cluster = stack.cluster
    wait_until("a whole pipeline", lambda: unready_nodes(cluster, EVERYBODY), limit_s=RETURN_LIMIT_S)
    machine = victim if victim in EVERYBODY else holder_of_the_endpoint(CONTROL_PLANES)
    before = workloads(cluster)
    movable = Counter({name: count for name, count in before.items() if not name.startswith(STATEFUL)})
    audit = Audit.open(cluster)

    killed = time.monotonic()
    run_lab("kill", machine)
    try:
        wait_until(f"the API at {kubernetes_endpoint()}", cluster.unreachable, limit_s=API_LIMIT_S, pause_s=0.2)
        api_s = time.monotonic() - killed
        wait_until(
            f"the pods of {machine} elsewhere",
            lambda: missing_pods(cluster, movable, without=machine),
            limit_s=PODS_LIMIT_S,
            pause_s=1,
        )
        pods_s = time.monotonic() - killed
    finally:
        run_lab("start", machine)
    wait_until("the machine back", lambda: unready_nodes(cluster, EVERYBODY), limit_s=RETURN_LIMIT_S)
    wait_until("its stateful pods back", lambda: missing_pods(cluster, before), limit_s=RETURN_LIMIT_S)
    line = f"{machine} killed ({victim}): API after {api_s:.1f} s, pods after {pods_s:.1f} s; {audit.close()}"
    print(line)
    with (artifacts / "machine-loss.txt").open("a") as record:
        record.write(line + "\n")
