"""Every step of a control plane that runs pods, on one real machine of each suite, and its undo.

Its programs and images are those of a lab that was up once on this host; the lab itself is not touched.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from components import remote
from components.cluster import Cluster, ClusterArgs
from components.cluster.host_firewall import lines
from components.cluster.machine import script
from components.cluster.preflight import PreflightError
from components.cluster.removal import undo_script
from components.remote import answer
from lab import mirror, toolchain
from lab.config import CACHE, LabError, Machine
from lab.machines import fleet, ssh
from lab.services import MIRROR_FOLDER
from tests.e2e.machines import changed_files
from tests.e2e.waiting import wait_until
from tests.integration.lab.conftest import GATEWAY, needs_machines, on
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, machines
from tests.unit.components.cluster.conftest import machine as control_plane
from tests.unit.components.cluster.test_cluster import answers_here
from tests.unit.components.conftest import Recorder, ssh_options

IMAGES = CACHE / "registry"
pytestmark = [
    *needs_machines,
    pytest.mark.full,
    pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the images of a lab: `make up` once"),
]
REGISTRY, PROGRAMS = f"{GATEWAY}:5001", f"http://{GATEWAY}:8089"
ENDPOINT = "10.78.0.10"
ETCD, PEERS, KUBELET, KUBE_PROXY, API, BALANCER = 2379, 2380, 10250, 10256, 6443, 8443
PORTS = (ETCD, PEERS, KUBELET, KUBE_PROXY, API, BALANCER)
STEP_S = 300
KUBECTL = "KUBECACHEDIR=/var/lib/argus/kubectl kubectl --kubeconfig /etc/kubernetes/admin.conf"


@pytest.fixture
def served(machine: Machine, tmp_path: Path) -> Iterator[None]:
    """The programs and images, on the network of the machine."""
    mirror.publish(toolchain.ensure())
    config = tmp_path / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(IMAGES)}, "maintenance": {"readonly": {"enabled": True}}}
    config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": REGISTRY}}))
    files = [sys.executable, "-m", "http.server", "--bind", str(GATEWAY), "--directory", str(MIRROR_FOLDER), "8089"]
    commands = (["docker-registry", "serve", str(config)], files)
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    yield
    for process in running:
        process.terminate()
        process.wait()


def cluster_of(machine: Machine) -> ClusterArgs:
    """A cluster of this machine alone, with the settings of the dev stack."""
    as_container = {
        "kubelet": {
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "featureGates": {"KubeletInUserNamespace": True},
        },
        "kubeProxy": {"conntrackMaxPerCore": 0},
    }
    return cluster_args(
        machines=machines([control_plane(machine.name, str(machine.address))]),
        ssh=remote.Ssh(options=ssh_options(user="root")),
        cluster=cluster_section(
            name="trial",
            endpoint=ENDPOINT,
            binaries=f"{PROGRAMS}/kubernetes",
            imageRepository=REGISTRY,
            registryMirror=f"http://{REGISTRY}",
            schedulePodsOnControlPlanes=True,
            minimumMemoryMiB=0,
            minimumDiskGiB=0,
            **as_container,
        ),
        volumes_gib={"kafka": 1},
    )


def run(machine: Machine, script: str, stdin: str = "") -> str:
    """Run a rendered script on the machine. Returns its answer; fails with what it said."""
    done = subprocess.run(
        ssh.command(machine, script), input=stdin, capture_output=True, text=True, timeout=STEP_S, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return answer(done.stdout)


def steps(machine: Machine, args: ClusterArgs) -> Callable[..., str]:
    """A function that runs one of the steps of components/cluster on the machine, by its name."""
    recorder = Recorder()
    facts: dict[str, str] = {}
    recorder.outputs["command:remote:Command"] = lambda name, _: {"stdout": facts.get(name, "")}
    recorder.outputs["command:local:Command"] = answers_here

    def step(name: str, stdin: str = "") -> str:
        inputs = recorder.named(f"lab-{name}").inputs
        return run(machine, inputs["create"], stdin or inputs.get("stdin") or "")

    def program() -> None:
        Cluster("lab", args)

    # Preflight judges the facts of the real machine.
    with pytest.raises(PreflightError, match="facts are not understood"):
        recorder.run(program)
    asked = recorder.named(f"lab-preflight-{machine.name}").inputs
    told = subprocess.run(
        ssh.command(machine, asked["create"]), input=asked["stdin"], capture_output=True, text=True, check=True
    ).stdout
    facts[f"lab-preflight-{machine.name}"] = told
    recorder.resources.clear()
    recorder.run(program)
    return step


def not_running(machine: Machine) -> str | None:
    """None once the node is ready and its pods run; until then what is not."""
    asked = f"{KUBECTL} get nodes --no-headers && {KUBECTL} get pods --all-namespaces --no-headers"
    try:
        succeeded, said = ssh.answer(machine, asked, timeout=20)
    except LabError as slow:
        return str(slow)
    lines = said.splitlines()
    if not succeeded or len(lines) < 8:
        return said
    node, *pods = lines
    others = [line for line in pods if line.split()[2:4] != ["1/1", "Running"]]
    return node if node.split()[1] != "Ready" else "; ".join(others) or None


def strangers_open(machine: Machine) -> set[int]:
    """The ports of the cluster's programs that this host opens, which is no machine of the cluster."""

    def opens(port: int) -> bool:
        try:
            socket.create_connection((str(machine.address), port), 3).close()
        except OSError:
            return False
        return True

    return {port for port in PORTS if opens(port)}


def not_guarded(machine: Machine) -> str | None:
    """None once strangers open the API alone; until then what they open."""
    found = strangers_open(machine)
    return None if found == {API, BALANCER} else f"strangers open {sorted(found)}"


def not_listed(machine: Machine, nodes: str) -> str | None:
    """None once the host firewall lets in these nodes; until then its list."""
    listed = on(machine, "cat /etc/argus/firewall-nodes").strip()
    return None if listed == nodes else listed


def test_a_machine_alone_becomes_a_cluster_and_is_left_as_it_was(machine: Machine, served: None) -> None:
    args = cluster_of(machine)
    name = machine.name
    assert changed_files(machine) == [], "of a machine that only started"
    step = steps(machine, args)
    for each in ("packages-installed", "runtime-configured", "endpoint-configured"):
        step(f"{name}-{each}")
    step(f"storage-{name}-folders")
    step(f"{name}-joined", "CLUSTER=none\n")
    step(f"network-{name}", f"{name} {machine.address} 10.244.0.0/24\n")
    for each in ("certificates-renewed", "kubelets-granted", "backup-scheduled"):
        step(f"{name}-{each}")
    wait_until("the node and its pods", partial(not_running, machine), limit_s=STEP_S)
    assert strangers_open(machine) == set(PORTS), "without a host firewall"
    nodes = run(machine, script("host_firewall_nodes.sh", machines=lines(args.all_machines)).render())
    assert nodes == f"{machine.address} control-plane"
    step(f"firewall-{name}", f"{nodes}\n10.78.0.99 worker leaving\n")
    assert strangers_open(machine) == {API, BALANCER}
    # keepalived runs both of its checks.
    assert "Changing effective priority from 100 to 150" in on(machine, "journalctl --unit keepalived --output cat")
    on(machine, "systemctl start argus-backup.service && ls /var/backups/argus/*.tar.gz", limit_s=120)

    fleet.kill(machine)
    fleet.start(machine)
    wait_until("the node after a power cut", partial(not_running, machine), limit_s=STEP_S)
    assert on(machine, "iptables --wait -t raw -S PREROUTING | tail -n 1") == "-A PREROUTING -j ARGUS-PREROUTING"
    assert strangers_open(machine) == {API, BALANCER}
    on(machine, "iptables --wait -t security -F")
    assert strangers_open(machine) == set(PORTS)
    wait_until("the timer's run", partial(not_guarded, machine), limit_s=STEP_S)
    wait_until("a list without who is no node", partial(not_listed, machine, nodes), limit_s=STEP_S)
    undone = run(machine, undo_script(args.on(args.machines.control_planes[0])).render("root"))
    assert undone.splitlines()[-1] == "undone"
    left = changed_files(machine)
    assert left == [], json.dumps(left, indent=2)
    assert on(machine, "ls -A /var/lib/argus /var/lib/etcd /var/lib/kubelet | grep -v : || true") == ""
    assert on(machine, "ps -eo comm= | grep -E '^(kube|etcd|keepalived|coredns)' || true") == ""
