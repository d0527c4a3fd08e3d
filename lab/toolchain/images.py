"""The images that the lab builds itself: Debian's base image, and Kubernetes' images from the toolchain's programs.

They are in podman's storage under their registry names, each labelled with a hash of its inputs.
"""

import hashlib
import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config import CACHE, DEBIAN_MIRROR, REGISTRY, LabError
from lab.podman import podman, succeeds
from lab.progress import now, step
from lab.shell import run
from lab.toolchain import LOGS, Toolchain

BASE = "docker.io/library/debian:trixie-slim"
LABEL = "argus.dev/key"

_BASE_SUITE = "trixie"
_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASE_SCRIPT = Path(__file__).resolve().parent / "base" / "rootfs.sh"
_AUTHORITIES = Path("/usr/local/share/ca-certificates")
_BUILD_SECONDS = 900
_MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image, and how it is made from the toolchain's programs."""

    name: str
    """Its name in the registry, including the tag."""
    group: str
    programs: tuple[str, ...]
    recipe: str

    def key(self, toolchain: Toolchain, base_id: str) -> str:
        """A hash of the programs, the recipe and, if the recipe uses it, the base image."""
        base = base_id if f"FROM {BASE}" in self.recipe else ""
        return _digest(toolchain.key(self.group), *self.programs, self.recipe, base)


def images(versions: dict[str, str]) -> tuple[Image, ...]:
    """A release's images, given the versions of its groups and kubeadm's tags of etcd and pause."""
    kubernetes = versions["kubernetes"]
    control_plane = tuple(
        Image(name=f"{program}:{kubernetes}", group="kubernetes", programs=(program,), recipe=_alone(program))
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    )
    coredns = versions["coredns"]
    metrics_server = (_metrics_server(versions["metrics-server"]),) if "metrics-server" in versions else ()
    return (
        *control_plane,
        Image(name=f"kube-proxy:{kubernetes}", group="kubernetes", programs=("kube-proxy",), recipe=_KUBE_PROXY),
        Image(name=f"etcd:{versions['etcd-tag']}", group="etcd", programs=("etcd", "etcdctl", "etcdutl"), recipe=_ETCD),
        # kubeadm pulls coredns/coredns from registry.k8s.io, but coredns from any other repository.
        Image(name=f"coredns:{coredns}", group="coredns", programs=("coredns",), recipe=_alone("coredns")),
        Image(name=f"coredns/coredns:{coredns}", group="coredns", programs=("coredns",), recipe=_alone("coredns")),
        Image(name=f"pause:{versions['pause-tag']}", group="pause", programs=("pause",), recipe=_alone("pause")),
        *metrics_server,
    )


def _metrics_server(version: str) -> Image:
    name = "metrics-server"
    return Image(name=f"{name}/{name}:{version}", group=name, programs=(name,), recipe=_alone(name))


def _alone(program: str) -> str:
    """An image with only a static program. PATH is set, because kubeadm's manifests name programs without a folder."""
    path = f"/usr/local/bin/{program}"
    return f'FROM scratch\nCOPY {program} {path}\nENV PATH=/usr/local/bin\nENTRYPOINT ["{path}"]\n'


_ETCD = """FROM scratch
COPY etcd etcdctl etcdutl /usr/local/bin/
ENV PATH=/usr/local/bin
WORKDIR /var/lib/etcd
CMD ["/usr/local/bin/etcd"]
"""

_KUBE_PROXY = f"""FROM {BASE}
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends conntrack iptables kmod nftables \\
 && rm -rf /var/lib/apt/lists/*
COPY kube-proxy /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/kube-proxy"]
"""


def ensure_images(toolchain: Toolchain, registry: str = REGISTRY) -> tuple[str, ...]:
    """Build images that are missing or outdated; return the full name of every image of the control plane."""
    base_id = ensure_base()
    wanted = images(_versions(toolchain))
    _check_against_kubeadm(toolchain, wanted)
    return build_images(wanted, toolchain, base_id, registry)


def build_images(wanted: Sequence[Image], toolchain: Toolchain, base_id: str, registry: str) -> tuple[str, ...]:
    """Build the images that are missing or outdated; return the full name of each."""
    for image in wanted:
        reference, key = f"{registry}/{image.name}", image.key(toolchain, base_id)
        if _label(reference) != key:
            log = LOGS / f"image-{image.name.replace('/', '-')}.log"
            with step(f"image {image.name}", log=log):
                _build(image, toolchain, reference, key, log)
    return tuple(f"{registry}/{image.name}" for image in wanted)


def ensure_base() -> str:
    """Build debian:trixie-slim unless podman has it, pulled or built here from the same inputs; return its ID."""
    authorities = sorted(_AUTHORITIES.glob("*.crt"))
    key = _digest(_BASE_SCRIPT.read_text(), *(f"{path.name}\n{path.read_text()}" for path in authorities))
    if not succeeds("image", "exists", BASE) or _label(BASE) not in ("", key):
        CACHE.mkdir(parents=True, exist_ok=True)
        log = LOGS / "base-image.log"
        with step(f"image {BASE}", log=log), tempfile.TemporaryDirectory(prefix=".base-", dir=CACHE) as work:
            archive = Path(work) / "rootfs.tar"
            command = [str(_BASE_SCRIPT), _BASE_SUITE, DEBIAN_MIRROR, str(archive)]
            run(command, timeout=_BUILD_SECONDS, log=log)
            changes = (f"LABEL {LABEL}={key}", 'CMD ["bash"]', f"ENV PATH={_BASE_PATH}")
            options = [option for change in changes for option in ("--change", change)]
            podman("import", *options, str(archive), BASE, timeout=_BUILD_SECONDS)
    return podman("image", "inspect", "--format", "{{.Id}}", BASE)


def push_images(references: Iterable[str]) -> None:
    """Push the images that the registry lacks or has with other content."""
    for reference in references:
        identifier = podman("image", "inspect", "--format", "{{.Id}}", reference)
        if _pushed_identifier(reference) != identifier:
            now(f"pushing {reference}")
            podman("push", "--quiet", "--tls-verify=false", reference, timeout=_BUILD_SECONDS)


def _build(image: Image, toolchain: Toolchain, reference: str, key: str, log: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".image-", dir=CACHE) as work:
        context = Path(work)
        for program in image.programs:
            # Link instead of copying, because the files are large; the toolchain is in the same cache.
            (context / program).hardlink_to(toolchain.program(program))
        (context / "Containerfile").write_text(image.recipe)
        # Podman's default format is OCI, whose image ID push_images compares with the registry.
        podman(
            *("build", "--pull=never", "--network=host", "--isolation=chroot"),
            *("--label", f"{LABEL}={key}", "--tag", reference, str(context)),
            timeout=_BUILD_SECONDS,
            log=log,
        )


def _versions(toolchain: Toolchain) -> dict[str, str]:
    groups = {group.name: group for group in toolchain.release.groups}
    versions = {name: group.version() for name, group in groups.items()}
    tags = {name.rsplit("/", 1)[-1]: tag for name, tag in _kubeadm_images(toolchain)}
    etcd_tag = tags["etcd"]
    if etcd_tag.split("-")[0] != versions["etcd"].removeprefix("v"):
        pinned = f"{groups['etcd'].go_mod} pins {versions['etcd']}"
        raise LabError(f"kubeadm wants etcd {etcd_tag}, {pinned}: they must be the same")
    return {**versions, "etcd-tag": etcd_tag, "pause-tag": tags["pause"]}


def _check_against_kubeadm(toolchain: Toolchain, made: tuple[Image, ...]) -> None:
    needed = {f"{name}:{tag}" for name, tag in _kubeadm_images(toolchain)}
    missing = needed - {image.name for image in made}
    if missing:
        raise LabError(f"kubeadm needs images that the toolchain does not make: {', '.join(sorted(missing))}")


def _kubeadm_images(toolchain: Toolchain) -> list[tuple[str, str]]:
    """The names and tags of the images that kubeadm pulls from a custom repository."""
    options = ["--kubernetes-version", toolchain.release.version, "--image-repository", "local"]
    command = [str(toolchain.program("kubeadm")), "config", "images", "list", *options]
    names = [line.removeprefix("local/").rpartition(":") for line in run(command).stdout.split()]
    return [(name, tag) for name, _, tag in names]


def _label(reference: str) -> str:
    """The key label of an image; empty if the image is missing or was not built here."""
    if not succeeds("image", "exists", reference):
        return ""
    return podman("image", "inspect", "--format", f'{{{{index .Labels "{LABEL}"}}}}', reference)


def _pushed_identifier(reference: str) -> str | None:
    """The ID of the image that the registry has under this name, or None."""
    registry, _, path = reference.partition("/")
    name, _, tag = path.rpartition(":")
    request = urllib.request.Request(f"http://{registry}/v2/{name}/manifests/{tag}", headers={"Accept": _MANIFESTS})
    # The registry is on the lab's own network, so the host's proxy must not be used.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            manifest = json.load(response)
    except urllib.error.HTTPError as refusal:
        if refusal.code == 404:
            return None
        raise LabError(f"the registry refused {reference}: {refusal}") from refusal
    except OSError as trouble:
        raise LabError(f"the registry at {registry} does not answer: {trouble}") from trouble
    digest: str = manifest["config"]["digest"]
    return digest.removeprefix("sha256:")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
