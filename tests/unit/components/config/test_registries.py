"""From which registries machines pull, and what they are told of each."""

from pathlib import Path
from typing import Any

from components.config import registries
from components.config.sections import Images
from tests.unit.components.cluster.conftest import cluster_section

LOGIN = {"username": "robot", "password": "hush"}


def told(images: dict[str, Any], **cluster: Any) -> list[str]:
    """The registries that machines are told of."""
    return list(registries.of_machines(cluster_section(**cluster), Images.model_validate(images)))


def test_machines_are_told_of_where_they_pull_from() -> None:
    hosts = ("r.io", "kafka.io:5000", "pause.io", "k8s.io", "mirror.io:8443", "ghcr.io", "docker.io")
    images = {
        "registry": "r.io/video",
        "overrides": {"kafka": "kafka.io:5000/kafka:1", "zookeeper": "zookeeper:3"},
        "digests": {"pause.io/pause:3": f"sha256:{'0' * 64}"},
        "registries": {host: {"pull": LOGIN} for host in hosts},
    }
    assert told(images, imageRepository="k8s.io", registryMirror="https://mirror.io:8443/all") == sorted(hosts)


def test_a_login_for_the_base_alone_and_one_that_pushes_stay_off_machines() -> None:
    images = {
        "registry": "r.io/video",
        "base": "base.io/debian:12",
        "registries": {"base.io": {"pull": LOGIN}, "r.io": {"push": LOGIN}},
    }
    assert told(images) == []
    assert registries.unused(cluster_section(), Images.model_validate(images)) == []


def test_plain_http_of_the_stack_s_own_registry_is_told_too() -> None:
    assert told({"registry": "r.io:5000/video", "insecure": True}) == ["r.io:5000"]


def test_the_images_of_a_network_of_one_s_own_count(tmp_path: Path) -> None:
    manifest = tmp_path / "network.yaml"
    containers = "[{name: a, image: 'flow.io/a:1'}]"
    manifest.write_text(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: network}\nspec:\n  template:\n    spec:\n"
        '      initContainers:\n      - image: "init.io/cni:1"\n        name: b\n      containers:\n      - name: c\n'
        f"        image: net.io:5000/agent:1 # a comment\n      others: {containers}\n"
    )
    hosts = ["flow.io", "init.io", "net.io:5000"]
    images = {"registries": {host: {"pull": LOGIN} for host in hosts}}
    assert told(images, network={"manifest": str(manifest)}) == hosts
    # Without that manifest, nothing comes from there.
    assert registries.unused(cluster_section(), Images.model_validate(images)) == hosts
