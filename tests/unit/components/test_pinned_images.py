"""With images.requireDigests every pod's image has a digest, whoever declares the pod; each that has none is named."""

from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components import versions
from tests.unit.components.conftest import Program, Recorder
from tests.unit.stacks import HOSTS

DIGEST = f"sha256:{'a' * 64}"
REGISTRY = "registry.k8s.io"
RELEASE = [
    f"{REGISTRY}/kube-{program}:v{versions.KUBERNETES}"
    for program in ("apiserver", "controller-manager", "scheduler", "proxy")
]


def strict(digests: list[str]) -> dict[str, Any]:
    """The section of a stack that requires digests, and has them for these references."""
    servers = ("kafka", "zookeeper", "elasticsearch", "filebeat")
    return {
        "images": {
            "requireDigests": True,
            "base": f"debian@{DIGEST}",
            "overrides": {name: f"registry.example.com/{name}@{DIGEST}" for name in servers},
            "digests": dict.fromkeys(digests, DIGEST),
        }
    }


def images_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"containers", "initContainers"} and isinstance(inner, list):
                yield from (each["image"] for each in inner if "image" in each)
            else:
                yield from images_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from images_in(inner)


def test_every_image_without_a_digest_is_named_and_with_digests_every_pod_uses_them(
    program: Program, pulumi_mocks: Recorder
) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        program(HOSTS, strict(RELEASE))
    named = {line.split('"')[1] for line in str(refused.value).splitlines() if "images.digests[" in line}
    assert {
        f"ghcr.io/kedacore/keda:{versions.KEDA}",
        f"{REGISTRY}/metrics-server/metrics-server:{versions.METRICS_SERVER}",
        f"{REGISTRY}/autoscaling/vpa-updater:{versions.VPA}",
        f"{REGISTRY}/pause:{versions.PAUSE}",
    } <= named

    pulumi_mocks.resources.clear()  # What the refused program declared has no digests.
    resources = program(HOSTS, strict([*RELEASE, *named])).resources
    used = {image for each in resources if each.type.startswith("kubernetes:") for image in images_in(each.inputs)}
    assert {f"{reference}@{DIGEST}" for reference in named} <= used
    # Those that are built here get theirs from the build, which a preview does not run.
    assert {image for image in used if not image.endswith(DIGEST) and "/argus/" not in image} == set()
