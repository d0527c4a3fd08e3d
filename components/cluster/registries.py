"""What containerd is told of registries: where to ask, by which authority it knows them, and its logins there."""

import base64
import json
from collections.abc import Mapping
from typing import Final

from components.config import Cluster
from components.config.registries import mirror_host
from components.config.sections import Registry

CERTS: Final = "/etc/containerd/certs.d"
"""A folder for each registry; `_default` is for those that have none. containerd reads it at each pull."""
_HUB: Final = {"docker.io": "registry-1.docker.io"}
"""The host that is asked in place of the one in references."""


def hosts(cluster: Cluster, registries: Mapping[str, Registry]) -> list[str]:
    """For functions/registries.sh: a line for each folder, with the base64 of its hosts.toml and of its authority."""
    told = {host: each for host, each in registries.items() if each.ca or each.insecure}
    files = {host: (_hosts_toml(host, cluster, registries), each.ca or "") for host, each in told.items()}
    if cluster.registry_mirror:
        files["_default"] = ("\n".join(_mirror(cluster, registries)), "")
    return ["\t".join([host, *map(_encoded, contents)]) for host, contents in sorted(files.items())]


def logins(registries: Mapping[str, Registry]) -> str:
    """The part of containerd's configuration with the logins of machines; empty where there is none. It is a secret.

    containerd gives each only to the host that it is for. 1.6 to 2.4 read it in the configuration's version 2 (ADR 53).
    """
    return "\n".join(
        f'[plugins."io.containerd.grpc.v1.cri".registry.configs.{_quoted(_HUB.get(host, host))}.auth]\n'
        f"  username = {_quoted(each.pull.username)}\n"
        f"  password = {_quoted(each.pull.password.get_secret_value())}"
        for host, each in sorted(registries.items())
        if each.pull
    )


def _hosts_toml(host: str, cluster: Cluster, registries: Mapping[str, Registry]) -> str:
    """How one registry is asked: after the mirror, if that is another."""
    lines = [f'server = "http://{host}"'] if registries[host].insecure else []
    lines += _authority(host, registries)
    if host != mirror_host(cluster):
        lines += _mirror(cluster, registries)
    return "\n".join(lines)


def _mirror(cluster: Cluster, registries: Mapping[str, Registry]) -> list[str]:
    """The mirror, which is tried before a registry; what it lacks comes from the registry itself."""
    host = mirror_host(cluster)
    if host is None:
        return []
    inner = ['capabilities = ["pull", "resolve"]', *_authority(host, registries)]
    return [f'[host."{cluster.registry_mirror}"]', *(f"  {line}" for line in inner)]


def _authority(host: str, registries: Mapping[str, Registry]) -> list[str]:
    return [f'ca = "{CERTS}/{host}/ca.crt"'] if host in registries and registries[host].ca else []


def _quoted(text: str) -> str:
    """A TOML string. JSON's is one too, as there are no signs beyond 16 bits in it that are escaped."""
    return json.dumps(text, ensure_ascii=False)


def _encoded(text: str) -> str:
    return base64.b64encode(f"{text.rstrip()}\n".encode()).decode() if text else ""
