"""The registries that a stack's images come from: which there are, and what machines must know of each."""

import re
from urllib.parse import urlsplit

from components import versions
from components.config import manifest
from components.config.sections import Cluster, Images, Registry
from components.config.urls import registry_of

_IMAGE = re.compile(r"""(?:^|[\s{,-])["']?image["']?:\s*["']?([^\s"'#,}]+)""", re.MULTILINE)
"""The field `image` in YAML of any style."""


def of_machines(cluster: Cluster, images: Images) -> dict[str, Registry]:
    """What machines must know, by registry: of those that they pull from, where they ask for anything."""
    hosts = pulled_from(cluster, images)
    told = {host: images.at(host) for host in sorted(hosts)}
    return {host: each for host, each in told.items() if each.pull or each.ca or each.insecure}


def pulled_from(cluster: Cluster, images: Images) -> frozenset[str]:
    """The registries that machines ask for images."""
    named = {registry_of(each) for each in (*images.overrides.values(), *images.digests, *_of_network(cluster))}
    named |= {registry_of(f"{cluster.image_repository}/pause"), registry_of(f"{versions.KEDA_IMAGES}/keda")}
    return frozenset(named | {host for host in (images.host, mirror_host(cluster)) if host})


def mirror_host(cluster: Cluster) -> str | None:
    """The host of the mirror, with the port that its URL has."""
    return urlsplit(cluster.registry_mirror).netloc.lower() if cluster.registry_mirror else None


def unused(cluster: Cluster, images: Images) -> list[str]:
    """The registries of which the stack says something, and which no image comes from."""
    used = pulled_from(cluster, images) | {registry_of(images.base)}
    return [host for host in images.registries if host not in used]


def _of_network(cluster: Cluster) -> list[str]:
    """The images that the manifest of a network of the user's own names; none where it cannot be read."""
    try:
        return _IMAGE.findall(manifest.read(cluster.network.manifest)) if cluster.network.manifest else []
    except manifest.ManifestError:
        return []
