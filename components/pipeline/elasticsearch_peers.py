"""The proxy between each Elasticsearch node and the others, which know each other by certificates (ADR 60).

A node reaches another one at an address of its own loopback, port EXIT, where its proxy listens. That goes on with TLS
to the DOOR of the other pod's proxy, and from there to the node itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.elasticsearch_peer_identity import DIR, PEER
from components.pipeline.kafka_identities import AUTHORITY, PAIR, Held

NAME: Final = "peers"
"""The container's name."""
NODE: Final = 9300
"""Where a node itself listens for others."""
DOOR: Final = 9301
EXIT: Final = 9302
INDEX: Final = "POD_INDEX"
"""The environment variable with a node's number, from 0 on."""

MEMORY: Final = sections.Memory(requestMiB=16, limitMiB=128)

_CONFIG: Final = "peers.conf"
_CONNECTIONS: Final = 64
"""More than two nodes have between them, even while they connect anew."""

_NGINX: Final = """\
# Debian's nginx has these in a module, nginx's own image has them built in.
include /etc/nginx/modules-enabled/*-mod-stream.conf;
worker_processes 1;
worker_shutdown_timeout 20s;
pid /tmp/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
stream {{
  # Nodes may say nothing for days, and count a connection that ends as a lost node. Whether one is there they ask.
  proxy_timeout 365d;
  proxy_socket_keepalive on;
  proxy_connect_timeout 5s;

  # One address cannot take all connections, nor can all of them those by which this node reaches the others.
  limit_conn_zone $binary_remote_addr zone=callers:1m;
  limit_conn_zone $server_port zone=all:1m;
  limit_conn_log_level info;

  server {{
    listen {door} ssl so_keepalive=60s:10s:3;
    limit_conn callers {callers};
    limit_conn all {all};
    ssl_certificate {identity}/{pair};
    ssl_certificate_key {identity}/{pair};
    ssl_client_certificate {identity}/{authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_handshake_timeout 10s;
    proxy_pass 127.0.0.1:{node};
  }}

  proxy_ssl_certificate {identity}/{pair};
  proxy_ssl_certificate_key {identity}/{pair};
  proxy_ssl_trusted_certificate {identity}/{authority};
  proxy_ssl_verify on;
  proxy_ssl_name {peer};
  proxy_ssl_protocols TLSv1.3;
  proxy_ssl_session_reuse off;
{exits}}}
"""

_EXIT: Final = """\
  server {{
    listen {exit};
    proxy_ssl on;
    proxy_pass {door};
  }}
"""


def ports(section: sections.Elasticsearch) -> dict[str, int]:
    """The ports at which nodes answer each other, by name. A node that is alone has nobody to answer."""
    alone, transport = section.replicas == 1, section.between_nodes
    return {
        **({"transport": NODE} if transport != "tls" else {}),
        **({"peers": DOOR} if transport != "plain" and not alone else {}),
    }


def wanted(section: sections.Elasticsearch) -> bool:
    """Whether nodes have the proxy."""
    return DOOR in ports(section).values()


def exit_of(number: int | str) -> str:
    """Where the other nodes find the node of this number, each at its own loopback."""
    return f"127.0.1.{number}"


def settings(section: sections.Elasticsearch, names: Sequence[str]) -> dict[str, object]:
    """What elasticsearch.yml says of the way between nodes; `names` are those of their pods in DNS."""
    transport = section.between_nodes
    closed = {"transport.bind_host": "127.0.0.1"} if transport == "tls" else {}
    if not wanted(section) or transport not in sections.TRANSPORTS_OF_CLIENTS:
        return {**closed, "discovery.seed_hosts": list(names)}
    return {
        **closed,
        "transport.publish_host": exit_of(f"${{{INDEX}}}"),
        "transport.publish_port": EXIT,
        "discovery.seed_hosts": [f"{exit_of(number)}:{EXIT}" for number in range(len(names))],
    }


def nginx_conf(addresses: Sequence[str]) -> str:
    """nginx's configuration, for nodes whose services have these addresses, by number."""
    exits = (
        _EXIT.format(exit=f"{exit_of(number)}:{EXIT}", door=f"{address}:{DOOR}")
        for number, address in enumerate(addresses)
    )
    needed = _CONNECTIONS * len(addresses)
    return _NGINX.format(
        # Two for each that is let in, at most, and for each that this node opens.
        connections=512 + (2 * 2 + 2) * needed,
        # What all nodes need, as a network may give them one address.
        callers=needed,
        all=2 * needed,
        door=DOOR,
        node=NODE,
        identity=DIR,
        pair=PAIR,
        authority=AUTHORITY,
        peer=PEER,
        exits="".join(exits),
    )


def files(name: str, workload: k.Workload, replicas: int) -> Mapping[str, pulumi.Input[str]]:
    """The proxy's part of the nodes' ConfigMap. `name` begins the names of resources.

    Proxies also know nodes that are not there yet: one that comes is ready, and the others change, only once these
    have reached it.
    """
    addresses = [
        k.address_of_member(
            f"{name}-{number}", workload.named(f"elasticsearch-peer-{number}"), {NAME: DOOR}, f"elasticsearch-{number}"
        )
        for number in range(replicas * sections.NODES_GROW_BY)
    ]
    return {_CONFIG: pulumi.Output.all(*addresses).apply(nginx_conf)}


def command() -> list[str]:
    """How it starts, in Argus's image and in nginx's own."""
    return proxy.command(_CONFIG)


def container(image: pulumi.Input[str], held: Held) -> core.v1.ContainerArgs:
    """The container; the pod's volume `config` has its file."""
    resources = k.resources_of(MEMORY, cpu="2m")
    return proxy.nginx(NAME, image, held, config=_CONFIG, ports={NAME: DOOR}, probed=DOOR, resources=resources)


def volumes(held: Held) -> Sequence[core.v1.VolumeArgs]:
    """The volumes that the pod has for it, beside `config`."""
    return proxy.volumes_of_nginx(NAME, held)
