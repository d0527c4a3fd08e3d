"""Turns machines into a cluster: the stages in order, and what each needs from the stages before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.args import ClusterArgs
from components.cluster.preflight import Preflight
from components.cluster.stages import Stages


class Cluster(pulumi.ComponentResource):
    """A highly available Kubernetes cluster on the given machines."""

    IDENTIFIER: Final = "argus"
    """Says to Kubernetes providers that a stack has one cluster all its life.

    Without it, a kubeconfig that is read again counts as another cluster, and a preview would replace every object.
    """

    kubeconfig: pulumi.Output[str]
    """The administrator's kubeconfig, a secret; available once every node is ready."""
    kubeconfig_for_providers: pulumi.Output[str]
    """The same for a Kubernetes provider, whose preview needs one; see Kubeconfig."""
    endpoint: pulumi.Output[str]
    """URL of the API."""
    kubernetes_version: pulumi.Output[str]
    """Available once every node runs it."""
    network: pulumi.Output[str]
    """The kind of pod network, `built-in` or `manifest`; available once every node uses it."""
    checks: pulumi.Output[Mapping[str, str]]
    """The last check of each machine, by address, available once the cluster is complete; the next update skips it."""
    disks: pulumi.Output[Mapping[str, Any]]
    """The disks of each machine as it answered last, by address, available once the cluster is complete."""
    host_keys_read: Sequence[pulumi.Resource]
    """Depend on these to run after the machines' host keys have been read."""
    drained: Sequence[pulumi.Resource]
    """Everything that runs in pods depends on these, so that it is deleted before its machines are drained."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Cluster", name, {}, opts)
        preflight = Preflight(f"{name}-preflight", args, pulumi.ResourceOptions(parent=self))
        stages = Stages(name, replace(args, ssh=preflight.ssh), self)

        undo = stages.prepare_removal(preflight.passed)
        packages = stages.install_packages(undo)
        runtimes = stages.configure_runtime(packages)
        endpoints = stages.serve_endpoint(stages.admit_machines(packages))
        control_planes = stages.start_control_plane(runtimes, endpoints)
        members = {**control_planes, **stages.join_workers(runtimes, control_planes)}
        connected = stages.connect_pods(members)
        stages.refuse_strangers(connected)
        upgraded = stages.upgrade_nodes(members, connected)
        stages.encrypt_secrets(upgraded)
        stages.label_nodes(members)
        stages.spread_dns(upgraded)
        kubeconfig = stages.read_kubeconfig(upgraded)
        self.kubeconfig, self.kubeconfig_for_providers = kubeconfig.content, kubeconfig.for_providers
        provider = kubernetes.Provider(
            f"{name}-provider",
            kubeconfig=self.kubeconfig_for_providers,
            cluster_identifier=self.IDENTIFIER,
            opts=pulumi.ResourceOptions(parent=self),
        )
        stages.measure_pods(provider)
        volumes = stages.provide_volumes(provider, runtimes)
        self.drained = stages.prepare_drains(members, volumes)

        self.host_keys_read = preflight.host_keys_read
        self.checks = pulumi.Output.all(preflight.checks, upgraded.urn).apply(lambda outputs: outputs[0])
        self.disks = pulumi.Output.all(preflight.disks, upgraded.urn).apply(lambda outputs: outputs[0])
        self.endpoint = pulumi.Output.from_input(args.server)
        self.kubernetes_version = upgraded.urn.apply(lambda _: args.cluster.kubernetes_version)
        self.network = upgraded.urn.apply(lambda _: args.network)
        self.register_outputs({"kubeconfig": self.kubeconfig, "endpoint": self.endpoint})
