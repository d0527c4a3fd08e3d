"""Folders that stand for machines, so that the scripts that make nodes can run on them.

The programs that the scripts call are stand-ins that record their arguments and environment, where no secret may be.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import components.cluster
from components.cluster.args import ClusterArgs, MachineArgs
from components.cluster.kubeadm import ENCRYPTION_CONFIG
from components.cluster.machine import FUNCTIONS
from components.config import Backup, Cluster, Machine, Machines
from components.config.sections import Worker
from components.remote import Script, Ssh, Value
from tests.unit.components.conftest import ssh_options
from tests.unit.components.host_keys import host_key

FOLDER = Path(components.cluster.__file__).parent
PROGRAMS = {
    "kubeadm": """case "$1 $2" in
      "token create") echo abcdef.0123456789abcdef ;;
      "certs certificate-key") echo "$RANDOM$RANDOM$RANDOM" ;;
      "version -o") echo v1.36.1 ;;
      "init --config" | "join --config")
        for file in kubelet admin; do
          echo "    server: https://192.0.2.99:6443" >"$MACHINE/etc/kubernetes/$file.conf"
        done
        case $MACHINE in */cp*)
          mkdir -p "$MACHINE/etc/kubernetes/manifests"
          echo "kind: Pod" >"$MACHINE/etc/kubernetes/manifests/kube-apiserver.yaml" ;;
        esac ;;
    esac""",
    # No machine has the endpoint yet; containerd has every image.
    "curl": 'case "$*" in *//192.0.2.10:*/livez) exit 7 ;; */PullImage) echo "grpc-status: 0" ;; esac',
    "kubectl": """case "$*" in *kubeadm-config*) echo "kubernetesVersion: v1.36.1" ;; esac""",
    "kubelet": "echo Kubernetes v1.36.1",
    "systemctl": "",
    "openssl": "",
    "ip": "echo '2: eth0 inet 192.0.2.10/32 scope global eth0'",
}

SERVING = "echo 'io.containerd.grpc.v1 cri - ok'"
"""A stand-in for ctr of a containerd that serves pods."""

MOVED = (
    "/dev/mapper",
    "/etc/argus",
    "/etc/kubernetes",
    "/etc/containerd",
    "/etc/cni",
    "/etc/haproxy",
    "/etc/iproute2",
    "/etc/keepalived",
    "/etc/modules-load.d",
    "/etc/os-release",
    "/etc/sysctl.d",
    "/etc/systemd/networkd.conf.d",
    "/etc/systemd/system",
    "/lib/modules",
    "/opt/cni",
    "/proc/net",
    "/proc/swaps",
    "/usr/local/bin",
    "/usr/lib/cni",
    "/usr/local/lib/argus",
    "/var/lib",
)
"""The paths in scripts that are moved into a machine's folder."""


@dataclass(frozen=True)
class Host:
    """A folder that stands for a machine."""

    root: Path
    name: str

    @property
    def encryption(self) -> Path:
        return self.path(ENCRYPTION_CONFIG)

    @property
    def noted(self) -> str:
        """The arguments and environment of every program that ran."""
        return (self.root / "noted").read_text()

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def run(
        self, file: str, stdin: str = "", *, argument: str = "", **values: Value
    ) -> subprocess.CompletedProcess[str]:
        rendered = Script(
            files=[self.moved(each) for each in (*FUNCTIONS, file)],
            values={key.upper(): value for key, value in values.items()},
        ).render()
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "MACHINE": str(self.root)}
        return subprocess.run(
            ["/bin/sh", "-c", f"umask 022; {rendered} {file} {argument}"],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )

    def program(self, name: str, body: str) -> None:
        """Replace a program's stand-in."""
        file = self.root / "bin" / name
        # The scripts run some programs side by side; each writes its note whole.
        note = f'{{ flock 8; echo "{name} $*"; env; }} 8>>"$MACHINE/noted" >&8'
        file.write_text(f"#!/bin/bash\n{note}\n{body}\n")
        file.chmod(0o755)

    def ran(self, name: str) -> list[str]:
        """The arguments of each call of a program."""
        return [line.removeprefix(f"{name} ") for line in self.noted.splitlines() if line.startswith(f"{name} ")]

    def join(self, invitation: str = "CLUSTER=none", *, control_plane: bool = True) -> None:
        done = self.run(
            "node.sh",
            invitation,
            name=self.name,
            address="192.0.2.99",
            virtual_ip="192.0.2.10",
            port=8443,
            bootstrap=self.name == "cp1",
            control_plane=control_plane,
            init_config="kind: InitConfiguration",
            join_config="kind: JoinConfiguration # @TOKEN@ @CA_HASH@ @CERTIFICATE_KEY@",
            audit_policy="kind: Policy" if control_plane else "",
            authentication="kind: AuthenticationConfiguration" if control_plane else "",
            secrets_key="key1",
            go_max_procs="",
        )
        assert done.stdout == ""

    def invite(self, name: str, *, control_plane: bool = True) -> str:
        return self.run(
            "invitation.sh", joining=name, address="192.0.2.99", control_plane=control_plane, version="1.36.1"
        ).stdout

    def within(self, text: str) -> str:
        """A script's text with its paths moved into this folder."""
        for path in MOVED:
            text = text.replace(path, str(self.path(path)))
        return text

    def moved(self, file: str) -> Path:
        """One of the cluster's scripts, with its paths moved into this folder."""
        text = self.within((FOLDER / file).read_text())
        text = text.replace("/run/argus-", str(self.root / "run-argus-"))
        for patient in (
            "until_true 30 serves_pods",
            "until_true 60 is_lost",
            "until_true 120 left",
            "until_true 240 serves_after",
        ):
            text = text.replace(patient, f"until_true 1 {patient.split()[-1]}")
        moved = self.root / Path(file).name
        moved.write_text(text.replace("mktemp -p /run", f"mktemp -p {self.root}"))
        return moved


def configure_containerd(host: Host, stdin: str = "", **changes: Value) -> int:
    """Configure containerd, with changes of what the program gives. Returns how often it was restarted."""

    def restarts() -> int:
        return host.ran("systemctl").count("restart containerd.service") if host.path("noted").exists() else 0

    before = restarts()
    given: dict[str, Value] = {
        "config": "version = 2",
        "registries": "",
        "logins": False,
        "network": "built-in",
        "plugins": "/usr/lib/cni",
        "repository": "registry.k8s.io",
        "version": "1.36.1",
        "images": "pause",
        "digests": "",
        "proxy": "",
        "go_max_procs": "",
    }
    host.run("container_runtime.sh", stdin, **given | changes)
    return restarts() - before


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, Host]:
    made = {}
    for name in ("cp1", "cp2", "worker1"):
        host = Host(root=tmp_path / name, name=name)
        host.path("/etc/kubernetes/pki").mkdir(parents=True)
        (host.root / "bin").mkdir()
        for program, body in PROGRAMS.items():
            host.program(program, body)
        made[name] = host
    return made


@pytest.fixture
def member(hosts: dict[str, Host]) -> Host:
    """The control plane that has the virtual IP, without records of its own joining."""
    host = hosts["cp1"]
    host.join()
    host.path("noted").unlink()
    return host


def cluster_section(**others: Any) -> Cluster:
    """The section of a stack of real hosts, with changes."""
    given = {"name": "prod", "endpoint": "192.0.2.10", "endpointPort": 8443, "kubernetesVersion": "1.36.1"}
    return Cluster.model_validate(given | others)


def machine(name: str, address: str, **others: Any) -> Machine:
    """A control plane of a stack."""
    return Machine.model_validate({"name": name, "address": address} | others)


def worker(name: str, address: str, **others: Any) -> Worker:
    """A worker of a stack."""
    return Worker.model_validate({"name": name, "address": address} | others)


def machines(control_planes: Sequence[Machine], workers: Sequence[Worker] = ()) -> Machines:
    """The machines section of a stack."""
    return Machines.model_validate({"controlPlanes": control_planes, "workers": workers})


def cluster_args(**others: Any) -> ClusterArgs:
    """The arguments of a stack of real hosts with one control plane, with changes."""
    given: dict[str, Any] = {
        "machines": machines([machine("cp1", "192.0.2.11", hostKey=host_key("cp1"))]),
        "ssh": Ssh(options=ssh_options()),
        "cluster": cluster_section(),
        "backup": Backup(),
        "page_port": 30080,
    }
    return ClusterArgs(**given | others)


def endpoint_args(control_planes: int) -> MachineArgs:
    """The arguments of cp1 among this many control planes, from 192.0.2.11 on."""
    each = [machine(f"cp{n}", f"192.0.2.1{n}") for n in range(1, control_planes + 1)]
    return cluster_args(machines=machines(each)).on(each[0])


def preflight_args(*, cluster: Mapping[str, Any] | None = None, **others: Any) -> ClusterArgs:
    """The arguments of a stack with low requirements, with changes of its cluster section and others."""
    section = cluster_section(**{"minimumMemoryMiB": 0, "minimumDiskGiB": 0} | dict(cluster or {}))
    return cluster_args(cluster=section, **others)
