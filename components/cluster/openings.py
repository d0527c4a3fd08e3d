"""What each machine must let in, and its own ports: one table for preflight and docs/production.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.cluster.args import NetworkKind
from components.cluster.kubeadm import API_PORT, ETCD_PORTS, KUBELET_PORT
from components.config import Cluster
from components.config.sections import FIRST_NODE_PORT, LAST_NODE_PORT

NODE_PORTS = f"{FIRST_NODE_PORT}-{LAST_NODE_PORT}"
"""In which `ui.nodePort` and those of `kafka.outside` lie."""


_NODE_LISTENS = (KUBELET_PORT,)
_CONTROL_PLANE_LISTENS = (*ETCD_PORTS, API_PORT, 10257, 10259)
"""The last two are the controller manager's and the scheduler's, on loopback."""


def listens_at(cluster: Cluster, *, control_plane: bool) -> list[int]:
    """The TCP ports at which a machine's own programs will listen, so that nothing else may."""
    ports = list(_NODE_LISTENS)
    return [*ports, *_CONTROL_PLANE_LISTENS, cluster.endpoint_port] if control_plane else ports


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Packets that must reach a machine, or pass through it."""

    what: str
    """Protocol and ports."""
    source: str
    purpose: str
    control_planes_only: bool = False


def openings(
    cluster: Cluster,
    network: NetworkKind,
    *,
    ssh_port: int,
    control_planes: str = "the control planes",
) -> Iterator[Opening]:
    """Every opening of a machine; `control_planes` is how these are called."""
    yield Opening(
        what=f"TCP {ssh_port}", source="where Pulumi runs, or the bastion", purpose="SSH: every step on the machine"
    )
    yield Opening(
        what=f"TCP {KUBELET_PORT}",
        source=f"{control_planes} and from pods",
        purpose="kubelet: logs, probes by API servers, metrics-server",
    )
    yield Opening(
        what=f"TCP {API_PORT} and {cluster.endpoint_port}",
        source="every machine, from pods and from where Pulumi runs",
        purpose="the API server, and the virtual IP's way to it",
        control_planes_only=True,
    )
    yield Opening(
        what=f"TCP {' and '.join(map(str, ETCD_PORTS))} and IP protocol 112",
        source=control_planes,
        purpose="etcd; keepalived's adverts (VRRP)",
        control_planes_only=True,
    )
    yield Opening(
        what="any protocol, also where the machine only passes it on (forwarded)",
        source=f"pods ({cluster.pod_network}) and every machine",
        purpose="what pods send and get",
    )
    yield Opening(
        what=f"TCP {NODE_PORTS}",
        source="whoever looks at the page, or is a client of `kafka.outside`",
        purpose="the page, Kafka",
    )
    if network == "manifest":
        yield Opening(
            what="what the network of your own needs", source="every machine", purpose="the pods' network, e.g. VXLAN"
        )
