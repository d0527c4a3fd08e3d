"""Services, through which pods find each other."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import core, meta

from components.kubernetes.names import metadata


def headless_service(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    ports: Mapping[str, int],
    opts: pulumi.ResourceOptions,
) -> core.v1.Service:
    """A DNS name for each pod, also before it is ready, because members must find each other to become ready."""
    return core.v1.Service(
        resource,
        metadata=_at_once(metadata(name, namespace, labelled)),
        spec=core.v1.ServiceSpecArgs(
            cluster_ip="None",
            publish_not_ready_addresses=True,
            selector=dict(labelled),
            ports=_ports(ports),
        ),
        opts=opts,
    )


def service(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    ports: Mapping[str, int],
    opts: pulumi.ResourceOptions,
    node_port: int | None = None,
) -> core.v1.Service:
    """One stable address for the ready pods; with `node_port`, also on every node."""
    return core.v1.Service(
        resource,
        metadata=_at_once(metadata(name, namespace, labelled)),
        spec=core.v1.ServiceSpecArgs(
            type="NodePort" if node_port else "ClusterIP",
            selector=dict(labelled),
            ports=_ports(ports, node_port),
        ),
        opts=opts,
    )


def _ports(ports: Mapping[str, int], node_port: int | None = None) -> list[core.v1.ServicePortArgs]:
    return [
        core.v1.ServicePortArgs(name=name, port=number, target_port=number, protocol="TCP", node_port=node_port)
        for name, number in ports.items()
    ]


def _at_once(described: meta.v1.ObjectMetaArgs) -> meta.v1.ObjectMetaArgs:
    """Do not let Pulumi wait for the service's endpoints; it waits for the workload."""
    described.annotations = {"pulumi.com/skipAwait": "true"}
    return described
