"""Services, through which pods find each other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components.kubernetes.names import POD_NAME, Workload

AT_ONCE: Final = {"pulumi.com/skipAwait": "true"}
"""The annotation of objects that Pulumi does not wait for."""


def headless_service(resource: str, workload: Workload, ports: Mapping[str, int]) -> pulumi.Output[str]:
    """The name of a service that gives each pod a DNS name, also before it is ready, because members must find each
    other to become ready."""
    spec = core.v1.ServiceSpecArgs(cluster_ip="None", publish_not_ready_addresses=True, ports=_ports(ports))
    return _service(resource, workload, spec).metadata.name.apply(str)


def address_of_member(resource: str, workload: Workload, ports: Mapping[str, int], pod: str) -> pulumi.Output[str]:
    """The address of a service for one pod of a StatefulSet, also before that is ready. It stays the same whenever the
    pod gets another one, so whoever knows it needs no DNS."""
    one = replace(workload, labels={**workload.labels, POD_NAME: pod})
    spec = core.v1.ServiceSpecArgs(type="ClusterIP", publish_not_ready_addresses=True, ports=_ports(ports))
    return _service(resource, one, spec).spec.cluster_ip.apply(str)


def service(
    resource: str, workload: Workload, ports: Mapping[str, int], *, node_port: int | None = None
) -> pulumi.Output[str]:
    """The name of a service with one stable address for the ready pods; with `node_port`, also on every node."""
    spec = core.v1.ServiceSpecArgs(type="NodePort" if node_port else "ClusterIP", ports=_ports(ports, node_port))
    return _service(resource, workload, spec).metadata.name.apply(str)


def _service(resource: str, workload: Workload, spec: core.v1.ServiceSpecArgs) -> core.v1.Service:
    """Pulumi does not wait for the service's endpoints, because it waits for the workload."""
    spec.selector = dict(workload.labels)
    return core.v1.Service(resource, metadata=workload.metadata(AT_ONCE), spec=spec, opts=workload.opts)


def _ports(ports: Mapping[str, int], node_port: int | None = None) -> list[core.v1.ServicePortArgs]:
    return [
        core.v1.ServicePortArgs(name=name, port=number, target_port=number, protocol="TCP", node_port=node_port)
        for name, number in ports.items()
    ]
