import re
from pathlib import Path

import pytest

from components import versions
from lab.config import ROOT
from lab.toolchain import Toolchain
from lab.toolchain.addons import ADDONS
from lab.toolchain.images import BASE, images
from lab.toolchain.releases import OWN

VERSIONS = {
    "kubernetes": "v1.36.1",
    "coredns": "v1.14.2",
    "metrics-server": "v0.9.0",
    "etcd-tag": "3.6.8-0",
    "pause-tag": "3.10.2",
}


def toolchain(**keys: str) -> Toolchain:
    groups = ("kubernetes", "etcd", "coredns", "metrics-server", "pause")
    return Toolchain(release=OWN, groups={name: Path(f"/s/{name}-{keys.get(name, '1')}/bin") for name in groups})


def test_images_are_named_as_kubeadm_names_them() -> None:
    assert {image.name for image in images(VERSIONS)} == {
        "kube-apiserver:v1.36.1",
        "kube-controller-manager:v1.36.1",
        "kube-scheduler:v1.36.1",
        "kube-proxy:v1.36.1",
        "etcd:3.6.8-0",
        "coredns:v1.14.2",
        "coredns/coredns:v1.14.2",
        "pause:3.10.2",
        "metrics-server/metrics-server:v0.9.0",
    }


def test_release_without_metrics_server_has_the_images_that_kubeadm_asks_for() -> None:
    versions = {name: version for name, version in VERSIONS.items() if name != "metrics-server"}
    left = {image.name for image in images(VERSIONS)} - {image.name for image in images(versions)}
    assert left == {"metrics-server/metrics-server:v0.9.0"}


def test_only_kube_proxy_stands_on_debian() -> None:
    assert [image.name for image in images(VERSIONS) if f"FROM {BASE}" in image.recipe] == ["kube-proxy:v1.36.1"]


@pytest.mark.parametrize("name", ["coredns", "metrics-server", "pause"])
def test_image_whose_manifest_gives_arguments_only_has_an_entry_point(name: str) -> None:
    recipe = next(image.recipe for image in images(VERSIONS) if image.name.startswith(name))
    assert f'ENTRYPOINT ["/usr/local/bin/{name}"]' in recipe


def test_key_follows_the_programs_and_the_base_it_stands_on() -> None:
    by_name = {image.name.split(":")[0]: image for image in images(VERSIONS)}
    etcd, proxy = by_name["etcd"], by_name["kube-proxy"]
    assert etcd.key(toolchain(), "base-1") == etcd.key(toolchain(kubernetes="2"), "base-2")
    assert etcd.key(toolchain(), "base-1") != etcd.key(toolchain(etcd="2"), "base-1")
    assert proxy.key(toolchain(), "base-1") != proxy.key(toolchain(), "base-2")


def test_what_the_program_asks_for_by_version_is_what_the_lab_makes() -> None:
    made = {group.name: group.version() for group in OWN.groups}
    assert made["metrics-server"] == versions.METRICS_SERVER
    assert {image.name for name in ("keda", "vpa") for image in ADDONS[name].images()} == {
        f"kedacore/keda:{versions.KEDA}",
        f"kedacore/keda-metrics-apiserver:{versions.KEDA}",
        f"autoscaling/vpa-recommender:{versions.VPA}",
        f"autoscaling/vpa-updater:{versions.VPA}",
        f"autoscaling/vpa-admission-controller:{versions.VPA}",
    }


def test_the_manifest_of_kube_router_asks_for_the_image_that_the_lab_makes() -> None:
    asked = re.findall(r"image: docker\.io/(\S+)", (ROOT / "tests" / "e2e" / "kube-router.yaml").read_text())
    assert set(asked) == {image.name for image in ADDONS["kube-router"].images()}
