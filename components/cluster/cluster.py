"""Machines become a cluster: the stages in their order, and what each takes from those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.args import ClusterArgs
from components.cluster.stages import Stages, look_at_machines


class Cluster(pulumi.ComponentResource):
    """A highly available Kubernetes cluster on the given machines."""

    kubeconfig: pulumi.Output[str]
    """The administrator's, a secret; it is known when every node is ready."""
    endpoint: pulumi.Output[str]
    """URL of the API."""
    kubernetes_version: pulumi.Output[str]
    """Known when every node has it."""
    network: pulumi.Output[str]
    """Whose network the pods are on, `built-in` or `manifest`; known when every node is on it."""
    looks: pulumi.Output[Mapping[str, str]]
    """At the machines, by address; known when they are the cluster. Those need no other one."""
    known: Sequence[pulumi.Resource]
    """To depend on, for what takes its turn after the first look at the machines."""
    drained: Sequence[pulumi.Resource]
    """To depend on, for what runs in pods: it is gone before its machines are drained."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Cluster", name, {}, opts)
        preflight = look_at_machines(name, args, self)
        stages = Stages(name, args, preflight, self)

        undo = stages.prepare_removal()
        packages = stages.install_packages(undo)
        runtimes = stages.configure_runtime(packages)
        endpoints = stages.serve_endpoint(packages)
        control_planes = stages.start_control_plane(runtimes, endpoints)
        members = {**control_planes, **stages.join_workers(runtimes, control_planes)}
        connected = stages.connect_pods(members)
        upgraded = stages.upgrade_nodes(members, connected)
        stages.label_nodes(members)
        stages.spread_dns(upgraded)
        self.kubeconfig = stages.read_kubeconfig(upgraded)
        provider = kubernetes.Provider(
            f"{name}-provider", kubeconfig=self.kubeconfig, opts=pulumi.ResourceOptions(parent=self)
        )
        stages.measure_pods(provider)
        volumes = stages.provide_volumes(provider, runtimes)
        self.drained = stages.prepare_drains(members, volumes)

        self.known = preflight.known
        self.looks = pulumi.Output.all(preflight.looks, upgraded.urn).apply(lambda outputs: outputs[0])
        self.endpoint = pulumi.Output.from_input(args.server)
        self.kubernetes_version = upgraded.urn.apply(lambda _: args.cluster.kubernetes_version)
        self.network = upgraded.urn.apply(lambda _: args.network)
        self.register_outputs({"kubeconfig": self.kubeconfig, "endpoint": self.endpoint})
