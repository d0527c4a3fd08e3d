"""The cluster: every machine is a ready node, three are control planes, and the pods are spread."""

from tests.e2e.conftest import Stack
from tests.e2e.machines import unready_nodes
from tests.e2e.waiting import wait_until


def test_every_machine_is_a_ready_node(stack: Stack) -> None:
    assert unready_nodes(stack.cluster, {"cp1", "cp2", "cp3", "worker1", "worker2"}) is None


def test_three_machines_are_control_planes(stack: Stack) -> None:
    label = "node-role.kubernetes.io/control-plane"
    assert {node["metadata"]["name"] for node in stack.cluster.nodes() if label in node["metadata"]["labels"]} == {
        "cp1",
        "cp2",
        "cp3",
    }


def test_replicas_of_a_stateful_service_share_no_machine(stack: Stack) -> None:
    for service, replicas in {"zookeeper": 3, "kafka": 3, "elasticsearch": 3, "consumer": 2}.items():
        pods = stack.cluster.pods(f"app.kubernetes.io/name={service}")
        machines = [pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"]
        assert len(machines) == replicas, f"{service} runs on {machines}"
        assert len(set(machines)) == replicas, f"{service} shares a machine: {machines}"


def test_resource_metrics_are_served(stack: Stack) -> None:
    def served() -> str | None:
        usage = stack.cluster.get("/apis/metrics.k8s.io/v1beta1/nodes")["items"]
        return None if len(usage) == 5 else f"of {[node['metadata']['name'] for node in usage]}"

    # A busy kubelet can miss one of the scrapes, which come every 15 s.
    wait_until("metrics of every node", served, limit_s=90)
