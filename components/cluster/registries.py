"""What containerd is told of registries: where to ask, by which authority it knows them, and its logins there."""

import base64
import json
from collections.abc import Mapping
from typing import Final

from components.config import Cluster
from components.config.registries import mirror_host
from components.config.sections import Registry

CERTS: Final = "/etc/containerd/certs.d"
"""Has a folder for each registry; `_default` is for those that have none. containerd reads it at each pull."""
_HUB: Final = {"docker.io": "registry-1.docker.io"}
"""The host that is asked in place of the one in references."""


def files(cluster: Cluster, registries: Mapping[str, Registry]) -> dict[str, str]:
    """The files below CERTS, by their paths: how each registry is asked, and by which authority it is known."""
    told = {host: each for host, each in registries.items() if each.ca or each.insecure}
    found = {f"{host}/hosts.toml": _hosts_toml(host, cluster, registries) for host in told}
    found |= {f"{host}/ca.crt": each.ca.rstrip() for host, each in told.items() if each.ca}
    if cluster.registry_mirror:
        found["_default/hosts.toml"] = "\n".join(_mirror(cluster, registries))
    return {path: f"{text}\n" for path, text in sorted(found.items())}


def lines(cluster: Cluster, registries: Mapping[str, Registry]) -> list[str]:
    """The same for functions/registries.sh: a path and the content in base64 on each line."""
    return [f"{path} {base64.b64encode(text.encode()).decode()}" for path, text in files(cluster, registries).items()]


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
    """How one registry is asked: after the mirror, if that is another.

    Without one it is named a second time, because containerd 1.6 reads no file that has no such table.
    """
    insecure = registries[host].insecure
    address = f"{'http' if insecure else 'https'}://{_HUB.get(host, host)}"
    own = [f'server = "{address}"'] if insecure else []
    first = _mirror(cluster, registries) if host != mirror_host(cluster) else []
    return "\n".join([*own, *_authority(host, registries), *(first or _asked(address, host, registries))])


def _mirror(cluster: Cluster, registries: Mapping[str, Registry]) -> list[str]:
    """The mirror, which is tried before a registry; what it lacks comes from the registry itself."""
    url, host = cluster.registry_mirror, mirror_host(cluster)
    return _asked(url, host, registries) if url and host else []


def _asked(url: str, host: str, registries: Mapping[str, Registry]) -> list[str]:
    inner = ['capabilities = ["pull", "resolve"]', *_authority(host, registries)]
    return [f'[host."{url}"]', *(f"  {line}" for line in inner)]


def _authority(host: str, registries: Mapping[str, Registry]) -> list[str]:
    return [f'ca = "{CERTS}/{host}/ca.crt"'] if host in registries and registries[host].ca else []


def _quoted(text: str) -> str:
    """A TOML string. JSON's is one too, where what is not ASCII stays as it is."""
    return json.dumps(text, ensure_ascii=False)
