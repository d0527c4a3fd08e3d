"""The proxy before each Elasticsearch node, which knows its clients by their certificates (ADR 48)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.elasticsearch_grants import grants_file
from components.pipeline.elasticsearch_identities import DIR
from components.pipeline.kafka_identities import AUTHORITY, PAIR, Held

IMAGE: Final = Image(name="elasticsearch-proxy")
NAME: Final = "proxy"
"""The container's name."""
HTTPS: Final = 9243
PROBES: Final = 9244
"""Where kubelets, and whoever else reaches the pod, learn in plain whether the node is well."""
PORTS: Final = {"https": HTTPS, "probes": PROBES}
HEALTH: Final = "/healthz"
"""Whether the node is in a cluster that answers."""
ALIVE: Final = "/livez"
"""Whether the node answers at all."""

MEMORY: Final = sections.Memory(requestMiB=32, limitMiB=512)
"""A bulk request is read, judged and written anew as a whole: three times the largest."""

_SCRIPT: Final = Path(__file__).with_suffix(".js")
_CONFIG: Final = "nginx.conf"

_NGINX: Final = """\
load_module /usr/lib/nginx/modules/ngx_http_js_module.so;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  server_tokens off;
  default_type application/json;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;

  js_path {config}/;
  js_import door from proxy.js;

  # Whoever is slow, or says too much.
  client_header_timeout 10s;
  client_body_timeout 20s;
  send_timeout 30s;
  reset_timedout_connection on;
  keepalive_timeout 75s;
  keepalive_requests 100000;
  client_header_buffer_size 4k;
  large_client_header_buffers 4 8k;

  upstream elasticsearch {{
    server 127.0.0.1:{node};
    keepalive 16;
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  # Answers are read here.
  proxy_set_header Accept-Encoding "";
  proxy_connect_timeout 5s;
  proxy_read_timeout 100s;
  proxy_max_temp_file_size 0;
  proxy_next_upstream off;

  server {{
    listen {https} ssl;
    ssl_certificate {identity}/{pair};
    ssl_certificate_key {identity}/{pair};
    ssl_client_certificate {identity}/{authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;

    # A body is judged as a whole, so it must fit in memory. The largest is Elasticsearch's own limit.
    client_max_body_size 1m;
    client_body_buffer_size 1m;

    location / {{ js_content door.enter; }}
    location = /_bulk {{
      client_max_body_size 100m;
      client_body_buffer_size 100m;
      js_content door.enter;
    }}
    # What was judged is what is passed on, not nginx's reading of it.
    location @elasticsearch {{ proxy_pass http://elasticsearch$request_uri; }}
    location = /-/bulk {{
      internal;
      client_max_body_size 100m;
      # Its answer is read as a whole too, which a pipe of buffers that waits for its reader would not end.
      subrequest_output_buffer_size 64m;
      proxy_buffering off;
      proxy_pass http://elasticsearch$request_uri;
    }}
  }}

  server {{
    listen {probes};
    client_max_body_size 1k;
    location / {{ return 404; }}
    location = {health} {{
      limit_except GET {{ deny all; }}
      js_content door.health;
    }}
    location = /-/health {{
      internal;
      proxy_pass http://elasticsearch/_cluster/health?master_timeout=2s&timeout=2s;
    }}
    location = {alive} {{
      limit_except GET {{ deny all; }}
      js_content door.alive;
    }}
    location = /-/alive {{
      internal;
      proxy_pass http://elasticsearch/;
    }}
  }}
}}
"""


def nginx_conf(*, https: int = HTTPS, probes: int = PROBES, node: int) -> str:
    """nginx's configuration, for a node that answers at this port of loopback."""
    return _NGINX.format(
        config=k.CONFIG_DIR,
        identity=DIR,
        pair=PAIR,
        authority=AUTHORITY,
        https=https,
        probes=probes,
        node=node,
        health=HEALTH,
        alive=ALIVE,
    )


def files(node: int) -> Mapping[str, str]:
    """The proxy's part of the nodes' ConfigMap."""
    return {
        _CONFIG: nginx_conf(node=node),
        "proxy.js": _SCRIPT.read_text(encoding="utf-8"),
        "grants.json": grants_file(),
    }


def command(config: str = _CONFIG) -> list[str]:
    """How nginx starts with this file of `config`, in Argus's image and in nginx's own."""
    return ["nginx", "-e", "stderr", "-c", f"{k.CONFIG_DIR}/{config}", "-g", "daemon off;"]


def container(image: pulumi.Input[str], held: Held) -> core.v1.ContainerArgs:
    """The container; the pod's volume `config` has its files."""
    resources = k.resources_of(MEMORY, cpu="5m")
    return nginx(NAME, image, held, config=_CONFIG, ports=PORTS, probed=PROBES, resources=resources)


def volumes(held: Held) -> Sequence[core.v1.VolumeArgs]:
    """The volumes that the pod has for it, beside `config`."""
    return volumes_of_nginx(NAME, held)


def nginx(
    name: str,
    image: pulumi.Input[str],
    held: Held,
    *,
    config: str,
    ports: Mapping[str, int],
    probed: int,
    resources: core.v1.ResourceRequirementsArgs,
) -> core.v1.ContainerArgs:
    """An nginx beside a node, with this file of the pod's volume `config`; it is well while the port `probed` takes
    connections."""
    return core.v1.ContainerArgs(
        name=name,
        image=image,
        command=command(config),
        ports=k.container_ports(ports),
        resources=resources,
        security_context=k.container_security(),
        startup_probe=k.tcp_probe(probed, period=2, failures=60),
        liveness_probe=k.tcp_probe(probed, period=20, failures=6),
        volume_mounts=[k.mount("config", k.CONFIG_DIR, read_only=True), *held.mounts, k.mount(name, "/tmp")],
    )


def volumes_of_nginx(name: str, held: Held) -> Sequence[core.v1.VolumeArgs]:
    """The volumes that the pod has for an nginx, beside `config`."""
    return [*held.volumes, k.scratch_volume(name, limit_mib=16)]
