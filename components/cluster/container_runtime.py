"""containerd on one machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pulumi

from components import remote, versions
from components.cluster import registries
from components.cluster.args import ClusterArgs, MachineArgs, NetworkKind
from components.cluster.machine import script
from components.config import Machine

_VERSION: Final = re.compile(r"\d+\.\d+")
"""How the version of a Debian package begins; one with an epoch is of another source, and not judged."""
_PLUGINS: Mapping[NetworkKind, str] = {"built-in": "/usr/lib/cni", "manifest": "/opt/cni/bin"}
"""The folder of the CNI plugins: Debian's, or the one that network manifests install into."""


class ContainerRuntime(pulumi.ComponentResource):
    """Configures containerd (installed by Packages) with the pods' network and registries, and pulls the first images.

    A machine that is already a node keeps its kind of network; a change of kind is refused.
    """

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:ContainerRuntime", name, {}, opts)
        logins = registries.logins(args.registries)
        remote.command(
            f"{name}-configured",
            host=args.machine.host,
            ssh=args.ssh,
            create=script(
                "container_runtime.sh",
                config=containerd_config(args),
                registries=registries.lines(args.cluster, args.registries),
                logins=bool(logins),
                repository=args.cluster.image_repository,
                version=args.cluster.kubernetes_version,
                images=node_images(args.machine),
                digests=args.digests_of_images,
                proxy=args.proxy,
                go_max_procs=args.cluster.go_max_procs or "",
                network=args.network,
                plugins=_PLUGINS[args.network],
            ),
            stdin=pulumi.Output.secret(logins) if logins else None,
            secret=bool(logins),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def oldest_containerd(kubernetes: str) -> str:
    """The oldest containerd that serves the kubelet of this version, as `major.minor`."""
    return [oldest for since, oldest in versions.CONTAINERD if _numbers(since) <= _numbers(kubernetes)][-1]


def refusal(has: str, kubernetes: str) -> str | None:
    """Why a machine's containerd does not serve this version of Kubernetes, with the remedy; None where it may."""
    oldest = oldest_containerd(kubernetes)
    found = _VERSION.match(has)
    if found is None or _numbers(found[0]) >= _numbers(oldest):
        return None
    return (
        f"has containerd {has}, and the kubelet of Kubernetes {kubernetes} starts with {oldest} or newer: upgrade"
        " containerd (docs/operations.md, containerd), or keep argus:cluster.kubernetesVersion below"
        f" {next(since for since, each in versions.CONTAINERD if each == oldest)}"
    )


def node_images(machine: Machine) -> str:
    """A regular expression for the names of the images that a node's own pods run."""
    return "kube-.*|etcd|pause" if machine.control_plane else "kube-proxy|pause"


def containerd_config(args: ClusterArgs) -> str:
    """containerd's configuration, of version 2, which containerd 1.6 to 2.4 read; 2 translates it when it starts.

    Versions 3 and 4 are read by some of these only, and another one may be installed at any time (ADR 52).
    """
    kubelet = args.cluster.kubelet
    # A machine that is itself a container may neither lower OOM scores nor load AppArmor profiles.
    unprivileged = kubelet.feature_gates.get("KubeletInUserNamespace", False)
    return f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{args.cluster.image_repository}/pause:{versions.PAUSE}"
  restrict_oom_score_adj = {_toml(unprivileged)}
  disable_apparmor = {_toml(unprivileged)}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS[args.network]}"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {_toml(kubelet.cgroup_driver == "systemd")}"""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def _toml(value: bool) -> str:
    return "true" if value else "false"
