"""Rules between the keys of a stack. Each rule yields problems; none connects to a machine."""

import fnmatch
import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from apps.messages import camera_url
from apps.weights import Contract, Precision, WeightsError, read_weights
from components import ssh_keys, versions
from components.config import manifest, registries
from components.config.code import problems_of_code
from components.config.sections import (
    ALL_CAMERAS,
    LAST_NODE_PORT,
    PROGRAMS,
    Login,
    Model,
    Quota,
    Quotas,
    Registry,
    Settings,
)

_Check = TypeVar("_Check", bound="Callable[[Settings], Iterator[str]]")

EXECUTOR_MIB, WORKER_MIB = 500, 150
"""Memory (MiB) of an executor's JVM and daemon, and of each Python worker without the user's code."""

_MODEL_CLASS = re.compile(rb"cultralytics\.nn\.tasks\n(\w+)\n")
"""A class in a pickle: the opcode `c`, the module, the name."""

KUBEADM_IMAGES: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
"""The images of a release that have its version as tag; only kubeadm knows the tags of the others."""

_SIGNING_KEY: Final = re.compile(r"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----")

_PROGRAMS: Final = {
    "openssl": ("makes the stack's certificates", "openssl"),
    "ssh": ("reaches the machines", "OpenSSH's client"),
    "ssh-keyscan": ("reads the machines' host keys", "OpenSSH's client"),
    "ssh-keygen": ("reads the keys for machines", "OpenSSH's client"),
}
"""What every stack needs on the computer that runs Pulumi: what each does there, and what has it."""

_WHICH_KEY: Final = "of a pair that ssh-keygen makes it is the file without .pub"

_HOW_TO_ASK: Final = "`skopeo inspect --format '{{.Digest}}' docker://IMAGE` says it"

CHECKPOINTS = frozenset(
    ("DetectionModel", "SegmentationModel", "PoseModel", "OBBModel", "ClassificationModel", "RTDETRDetectionModel")
)
"""The Ultralytics models that Argus runs; other tasks (depth, semantic, world) have other kinds of output."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check of the stack, which runs only if every section that it needs is valid."""

    needs: frozenset[str]
    """The sections that it reads, as fields of Settings."""
    check: Callable[[Settings], Iterable[str]]
    """Every problem, each as `key: what is wrong; what to do`."""


RULES: Final[list[Rule]] = []
"""The rules for every stack. Rules about stages are in components/pipeline/rules.py."""


def problems(settings: Settings, rules: Iterable[Rule] = ()) -> list[str]:
    """The problems that RULES and the given rules find in the sections that are present."""
    there = settings.__dict__.keys()
    return [
        problem
        for rule in (*RULES, *rules)
        if rule.needs <= there
        for problem in rule.check(_only(settings, rule.needs))
    ]


def _only(settings: Settings, needs: Set[str]) -> Settings:
    """The settings with only these sections, so that a rule that reads another one raises AttributeError."""
    narrowed = settings.model_copy()
    for name in settings.__dict__.keys() - needs:
        del narrowed.__dict__[name]
    return narrowed


def _needs(*sections: str) -> Callable[[_Check], _Check]:
    """A decorator that adds the function to RULES."""

    def registered(check: _Check) -> _Check:
        RULES.append(Rule(needs=frozenset(sections), check=check))
        return check

    return registered


def has_digest(reference: str) -> bool:
    """Whether a reference names an image by its digest, so that its registry cannot give it another content."""
    return re.search(r"@sha256:[0-9a-f]{64}$", reference) is not None


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


@_needs("machines")
def _machines(settings: Settings) -> Iterator[str]:
    machines = settings.machines
    count = len(machines.control_planes)
    if count % 2 == 0:
        yield (
            f"machines.controlPlanes: {count} machines, an even number, survive no more failures than {count - 1}; "
            f"list {count - 1} or {count + 1}"
        )
    listed = machines.control_planes + machines.workers
    for name in _repeated(machine.name for machine in listed):
        yield f"machines: the name {name!r} is used more than once; every machine needs its own"
    for address in _repeated(machine.address for machine in listed):
        yield f"machines: the address {address} is used more than once; a host is listed once, as one kind"


@_needs("machines", "cluster")
def _room_for_pods(settings: Settings) -> Iterator[str]:
    if not settings.schedulable_machines:
        yield (
            "machines.workers: no machine may run pods; list workers that are not on standby, or set "
            "cluster.schedulePodsOnControlPlanes: true"
        )


@_needs("cluster")
def _networks(settings: Settings) -> Iterator[str]:
    cluster = settings.cluster
    if cluster.pod_network.overlaps(cluster.service_network):
        yield (
            f"cluster.podNetwork: {cluster.pod_network} overlaps cluster.serviceNetwork {cluster.service_network}; "
            "choose two ranges apart"
        )
    for key, network in (("podNetwork", cluster.pod_network), ("serviceNetwork", cluster.service_network)):
        if cluster.endpoint in network:
            yield f"cluster.endpoint: {cluster.endpoint} lies in cluster.{key} {network}; choose a free host address"
    if cluster.endpoint_port == 6443:
        yield "cluster.endpointPort: 6443 is the API server's own on each control plane; choose another, such as 8443"


@_needs("machines", "cluster")
def _addresses(settings: Settings) -> Iterator[str]:
    cluster, machines = settings.cluster, settings.all_machines
    for key, network in (("podNetwork", cluster.pod_network), ("serviceNetwork", cluster.service_network)):
        for machine in machines:
            if machine.address in network:
                yield f"cluster.{key}: {network} contains machine {machine.name} ({machine.address}); choose another"
    if any(machine.address == cluster.endpoint for machine in machines):
        yield f"cluster.endpoint: {cluster.endpoint} is a machine's own address; choose a free one on the same network"
    nodes, room = len(machines), 2 ** max(0, 24 - cluster.pod_network.prefixlen)
    if nodes > room:
        yield f"cluster.podNetwork: {cluster.pod_network} holds {room} nodes of a /24 each; {nodes} machines are listed"


@_needs("cluster")
def _manifest(settings: Settings) -> Iterator[str]:
    if source := settings.cluster.network.manifest:
        try:
            manifest.read(source)
        except manifest.ManifestError as unusable:
            yield f"cluster.network.manifest: {unusable}"


@_needs("cluster")
def _policies(settings: Settings) -> Iterator[str]:
    cluster = settings.cluster
    if cluster.network_policies == "enforced" and cluster.network.manifest:
        yield (
            "cluster.networkPolicies: enforced is for Argus's own network, and cluster.network.manifest names another, "
            "which enforces them itself or not at all; remove one of the two keys"
        )


@_needs("cluster")
def _api_clients(settings: Settings) -> Iterator[str]:
    if settings.cluster.api_clients and settings.cluster.host_firewall == "off":
        yield "cluster.apiClients: nothing refuses others with cluster.hostFirewall: off; remove one of the two keys"


@_needs("cluster")
def _version(settings: Settings) -> Iterator[str]:
    wanted = settings.cluster.kubernetes_version
    if wanted.rpartition(".")[0] not in versions.KUBERNETES_MINORS:
        supported = ", ".join(f"{minor}.x" for minor in versions.KUBERNETES_MINORS)
        yield f"cluster.kubernetesVersion: {wanted} is not supported; choose {supported}"


@_needs("cluster")
def _checksums(settings: Settings) -> Iterator[str]:
    cluster = settings.cluster
    version = cluster.kubernetes_version
    for key in cluster.checksums:
        if not re.fullmatch(rf"\d+\.\d+\.\d+/({'|'.join(PROGRAMS)})", key):
            yield f"cluster.checksums: {key!r} is no program of a release; write `{version}/kubelet`"
    if cluster.checksums or cluster.require_checksums:
        for program in PROGRAMS:
            if f"{version}/{program}" not in cluster.checksums:
                yield (
                    f'cluster.checksums["{version}/{program}"]: missing; give the SHA-256 that its publisher says '
                    f"(https://dl.k8s.io/v{version}/bin/linux/amd64/{program}.sha256)"
                )


@_needs("images")
def _digests(settings: Settings) -> Iterator[str]:
    images = settings.images
    for reference in images.digests:
        if "@" in reference:
            yield f"images.digests: {reference!r} has a digest already; write the reference without it"
    if not images.require_digests:
        return
    floating = {"images.base": images.base}
    floating |= {f"images.overrides.{name}": images.pinned(each) for name, each in images.overrides.items()}
    for key, reference in floating.items():
        if not has_digest(reference):
            yield (
                f"{key}: {reference} is a tag alone, which its registry may give another content, and "
                f"images.requireDigests is set; write it with its digest, {reference}@sha256:… ({_HOW_TO_ASK})"
            )


@_needs("images")
def _signers(settings: Settings) -> Iterator[str]:
    images = settings.images
    if images.signing is not None and not images.signers:
        yield "images.signers: needed with images.signing; give the public half of its key, so that it is verified too"
    if not images.signers:
        return
    if not images.require_digests:
        yield (
            "images.requireDigests: needed with images.signers, as a tag may be given another image after it was "
            "verified; set it to true"
        )
    for key, reference in images.named.items():
        if images.signer(reference) is None:
            yield (
                f"images.signers: no entry is for {reference} ({key}); add one with the keys of its publisher, or with "
                "`unsigned: true`"
            )


@_needs("images")
def _signing(settings: Settings) -> Iterator[str]:
    signing = settings.images.signing
    if signing is None:
        return
    path = signing.private_key_file
    if path is not None and (unreadable := _unreadable(path)):
        yield f"images.signing.privateKeyFile: {path} {unreadable}; `cosign generate-key-pair` makes a pair of keys"
    elif not _SIGNING_KEY.search(signing.key):
        key = "privateKeyFile" if path is not None else "privateKey"
        yield (
            f"images.signing.{key}: no key as cosign makes it (ENCRYPTED SIGSTORE PRIVATE KEY); make one with "
            "`cosign generate-key-pair`, or `cosign import-key-pair --key FILE` of one that you have"
        )


@_needs("cluster", "images")
def _digests_of_the_cluster(settings: Settings) -> Iterator[str]:
    cluster, images = settings.cluster, settings.images
    if images.require_digests:
        for program in KUBEADM_IMAGES:
            reference = f"{cluster.image_repository}/{program}:v{cluster.kubernetes_version}"
            if reference not in images.digests:
                yield (
                    f'images.digests["{reference}"]: missing, and images.requireDigests is set; give its digest '
                    f"({_HOW_TO_ASK})"
                )


@_needs("cluster", "images")
def _registries(settings: Settings) -> Iterator[str]:
    cluster, images = settings.cluster, settings.images
    mirror, in_plain = registries.mirror_host(cluster), (cluster.registry_mirror or "").startswith("http:")
    for host in registries.unused(cluster, images):
        used = ", ".join(sorted(registries.pulled_from(cluster, images)))
        yield (
            f"{_key_of_registry(host)}: no image of the stack comes from there, but from {used}; correct the host "
            "(with its port, as references of images have it), or take the entry out"
        )
    for host, given in images.registries.items():
        key, said = _key_of_registry(host), images.at(host)
        if given == Registry():
            yield f"{key}: says nothing; give pull, push, ca or insecure, or take the entry out"
        if said.push and host != images.host:
            yield f"{key}.push: nothing is pushed there, but to images.registry; give the login as pull, or take it out"
        if host == mirror and said.insecure != in_plain:
            yield (
                f"{key}.insecure: {str(said.insecure).lower()}, and cluster.registryMirror is "
                f"{cluster.registry_mirror}; let both say http, or neither"
            )
        if said.insecure or (host == mirror and in_plain):
            for name in ("pull", "push", "ca"):
                if getattr(said, name):
                    yield (
                        f"{key}.{name}: the registry speaks plain http, so whoever reads the network would read "
                        f"logins, and there is no certificate to check; give the registry one, or take {name} out"
                    )


def _key_of_registry(host: str) -> str:
    return f'images.registries["{host}"]'


@_needs("cameras")
def _cameras(settings: Settings) -> Iterator[str]:
    for name in _repeated(camera.name for camera in settings.cameras):
        yield f"cameras: the name {name!r} is used more than once; every camera needs its own"


@_needs("cameras")
def _tls(settings: Settings) -> Iterator[str]:
    for index, camera in enumerate(settings.cameras):
        if camera.tls is not None and not camera.through_tls:
            yield (
                f"cameras[{index}].tls: {camera.name} shows no certificate, because its url is neither https:// nor "
                "rtsps://; change the url, or remove the key"
            )
        if camera.transport == "udp" and camera.url.startswith("rtsps://"):
            yield (
                f"cameras[{index}].transport: pictures of rtsps:// travel in its TLS connection, over TCP, and UDP "
                f"would not be encrypted; remove the key, or give {camera.name} an rtsp:// url"
            )


@_needs("producers")
def _tls_of_all(settings: Settings) -> Iterator[str]:
    tls = settings.producers.tls
    if tls is not None and tls.fingerprint is not None:
        yield (
            "producers.tls.fingerprint: every camera has a certificate of its own; give the fingerprint in the "
            "camera's entry, or a ca here"
        )


@_needs("cameras", "camera_credentials")
def _credentials(settings: Settings) -> Iterator[str]:
    for name in settings.camera_credentials.keys() - {camera.name for camera in settings.cameras}:
        yield f"cameraCredentials: there is no camera {name!r}; remove it or add the camera"
    for camera in settings.cameras:
        login = settings.camera_credentials.get(camera.name)
        if login is None and camera_url.takes_login(camera.url):
            yield (
                f"cameraCredentials.{camera.name}: required, because the camera's url has a place for its login; give "
                "username and password"
            )
        if login and camera_url.too_long_for_rtsp(camera.url, login.username, login.password.get_secret_value()):
            yield (
                f"cameraCredentials.{camera.name}: too long for RTSP: user name, colon and password have at most "
                f"{camera_url.LONGEST_RTSP_LOGIN} bytes, and {camera_url.ESCAPED} count three each"
            )


@_needs("cameras", "producers")
def _producers(settings: Settings) -> Iterator[str]:
    count, cameras = settings.producers.count, len(settings.cameras)
    if count is not None and count > cameras:
        yield f"producers.count: {count} for {cameras} cameras; use at most one a camera"


@_needs()
def _programs(_: Settings) -> Iterator[str]:
    for program, (does, package) in _PROGRAMS.items():
        if shutil.which(program) is None:
            yield f"{program} {does} on this computer, where it is not found; install {package}"


@_needs("images")
def _cosign(settings: Settings) -> Iterator[str]:
    if settings.images.signers and shutil.which("cosign") is None:
        yield (
            "images.signers: cosign verifies images on this computer, where it is not found; install cosign 3 "
            "(https://docs.sigstore.dev)"
        )


@_needs("models", "kafka")
def _tasks(settings: Settings) -> Iterator[str]:
    for index, model in _own_applications(settings):
        most, cores, partitions = model.executors.maximum, model.cores_per_executor, settings.kafka.partitions
        if most * cores > partitions:
            yield (
                f"models[{index}].executors.maximum: {most} executors x {cores} cores = {most * cores} tasks, but only "
                f"kafka.partitions = {partitions} can be read at once; {partitions // cores} executors are the most"
            )


def _own_applications(settings: Settings) -> Iterator[tuple[int, Model]]:
    """The models that an application is named after, with their places in the list."""
    return ((index, model) for index, model in enumerate(settings.models) if model.application is None)


@_needs("models")
def _applications(settings: Settings) -> Iterator[str]:
    by_name = {model.name: model for model in settings.models}
    for index, model in enumerate(settings.models):
        if model.application is None:
            continue
        key, other = f"models[{index}].application", by_name.get(model.application)
        if other is None:
            yield f"{key}: there is no model {model.application!r}; name one of {', '.join(by_name)}, or remove the key"
        elif other is model:
            yield f"{key}: {model.name} names itself; remove the key for an application of its own"
        elif other.application is not None:
            yield (
                f"{key}: {other.name} runs in the application of {other.application} itself; name a model that has "
                "its own, or remove the key there"
            )
        for misplaced in model.misplaced:
            yield (
                f"models[{index}].{misplaced}: belongs to the whole application; set it at the model "
                f"{model.application}, or remove {model.name}'s key application"
            )


@_needs("models")
def _overload(settings: Settings) -> Iterator[str]:
    applications = {model.name: model for _, model in _own_applications(settings)}
    for index, model in enumerate(settings.models):
        limit, application = model.overload_seconds, applications.get(model.application or model.name)
        if limit is None or application is None:
            continue
        key, executors = f"models[{index}].overload.seconds", application.executors
        if limit <= 2 * application.trigger_seconds:
            yield (
                f"{key}: {limit:g} is not more than twice the triggerSeconds ({application.trigger_seconds:g}) of "
                f"{application.name}, so frames would be thinned that only wait for their batch; choose more seconds, "
                "or a shorter trigger"
            )
        elif executors.maximum > executors.minimum and limit <= executors.target_lag_seconds:
            yield (
                f"{key}: {limit:g} is not more than the executors' targetLagSeconds ({executors.target_lag_seconds:g}) "
                f"of {application.name}, so frames would be thinned before an executor comes; choose more seconds, or "
                "a smaller lag"
            )


@_needs("models")
def _models(settings: Settings) -> Iterator[str]:
    for name in _repeated(model.name for model in settings.models):
        yield f"models: the name {name!r} is used more than once; every model needs its own"
    for index, model in enumerate(settings.models):
        if model.kind == "objects":
            for problem in _weights(model):
                yield f"models[{index}].{problem}"
        if model.code is not None:
            for problem in problems_of_code(model.code):
                yield f"models[{index}].code: {problem}"
    for index, model in _own_applications(settings):
        each = sum(one.call_memory_mib for one in settings.applications[model.name] if one.code is not None)
        if each:
            yield from _call_memory(f"models[{index}]", model, each)


def _call_memory(key: str, model: Model, each: int) -> Iterator[str]:
    """The memory allowed for user code must fit in the executor, and in the driver, which runs the code once.

    `each` is the memory (MiB) for the code of all models of the application, on one core.
    """
    cores = model.cores_per_executor
    parts = f"{EXECUTOR_MIB} for Spark + {cores} cores x (callMemoryMiB {each} + {WORKER_MIB} for a Python worker)"
    needed = EXECUTOR_MIB + cores * (each + WORKER_MIB)
    if needed > model.executor_memory_mib:
        yield (
            f"{key}.executorMemoryMiB: {parts} = {needed} MiB, more than {model.executor_memory_mib}; give at least "
            f"{needed}, or less callMemoryMiB or coresPerExecutor"
        )
    if (tried := WORKER_MIB + each) > model.driver_memory_mib:
        yield (
            f"{key}.driverMemoryMiB: the driver starts the code once, with {WORKER_MIB} + callMemoryMiB {each} = "
            f"{tried} MiB, more than {model.driver_memory_mib}; give at least {tried}, or less callMemoryMiB"
        )


def _weights(model: Model) -> Iterator[str]:
    """Why a network cannot run. Of a checkpoint only the kind is checked, because the image's build exports it."""
    place = model.network
    if not place.exists():
        yield (
            f"weights: {place} does not exist; give nanodet, scenes, a .pt file, an .onnx file or the folder of an "
            "OpenVINO export"
        )
    elif place.is_file() and place.suffix == ".pt":
        yield from _checkpoint(place)
    else:
        try:
            names = _classes(place, model.contract, model.size, model.precision)
        except WeightsError as unusable:
            yield f"weights: {unusable}"
        else:
            yield from _labels(model, names)


@cache
def _classes(place: Path, contract: Contract, size: str | None, precision: Precision) -> tuple[str, ...]:
    """The names of a network's classes. Raises WeightsError if the network cannot run."""
    return read_weights(place, contract, size=size, precision=precision).names


def _labels(model: Model, names: tuple[str, ...]) -> Iterator[str]:
    """Every configured label must be one of the model's classes."""
    for key, labels in (("labels", model.labels or ()), ("scoreThresholds", tuple(model.score_thresholds))):
        for label in labels:
            if label not in names:
                yield f"{key}: the model knows no {label!r}; it knows {', '.join(names[:100])}"


def _checkpoint(path: Path) -> Iterator[str]:
    """A checkpoint is a zip archive with a pickle that names the model's class. It is not unpickled: that runs code."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            kinds = {name.decode() for name in _MODEL_CLASS.findall(archive.read(pickled))}
    except (zipfile.BadZipFile, StopIteration):
        kinds = set()
    if not kinds:
        yield f"weights: {path} is no checkpoint of Ultralytics, or damaged; give one, an .onnx or an OpenVINO export"
    elif not kinds & CHECKPOINTS:
        yield f"weights: {path} holds a {', '.join(sorted(kinds))}; Argus runs {', '.join(sorted(CHECKPOINTS))}"


@_needs("access", "cameras")
def _groups(settings: Settings) -> Iterator[str]:
    access = settings.access
    if ALL_CAMERAS in access.groups:
        yield f"access.groups.{ALL_CAMERAS}: this is every camera in any stack; choose another name"
    for group, patterns in access.groups.items():
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(camera.name, pattern) for camera in settings.cameras):
                yield (
                    f"access.groups.{group}: {pattern!r} is the name of no camera; name one, `*` stands for any "
                    "characters"
                )
    named = {f"users.{name}": user.groups for name, user in access.users.items()}
    named |= {f"tokens.{name}": token.groups for name, token in access.tokens.items()}
    if access.open_id_connect is not None:
        named |= {f"openIdConnect.roles[{i}]": each.groups for i, each in enumerate(access.open_id_connect.roles)}
    for place, groups in named.items():
        for group in groups:
            if group not in access.patterns:
                yield (
                    f"access.{place}.groups: there is no group {group!r}; name one of "
                    f"{', '.join(access.patterns)}, or add it to access.groups"
                )


@_needs("access")
def _open_id_connect(settings: Settings) -> Iterator[str]:
    provider = settings.access.open_id_connect
    if provider is not None:
        for value in _repeated(each.value for each in provider.roles):
            yield (
                f"access.openIdConnect.roles: the value {value!r} is there more than once, and only the first counts; "
                "keep one"
            )


@_needs("access", "ui")
def _page_for_open_id_connect(settings: Settings) -> Iterator[str]:
    url, scheme = settings.ui.url, settings.ui.scheme
    if settings.access.open_id_connect is not None and not (url or f"{scheme}:").startswith("https:"):
        yield (
            "access.openIdConnect: the page is served in plain, so whoever reads the network could take over a login; "
            + (f"give ui.url with https:// instead of {url}" if url else "take ui.tls: off out")
            + ", or remove the key"
        )


@_needs("ui")
def _page_url(settings: Settings) -> Iterator[str]:
    if settings.ui.scheme == "https" and (settings.ui.url or "").startswith("http:"):
        yield (
            f"ui.url: {settings.ui.url} is never answered, as the page is served over TLS alone; use https://, or set "
            "ui.tls: off"
        )


@_needs("ui")
def _page_tls(settings: Settings) -> Iterator[str]:
    ui = settings.ui
    if not ui.own_certificate:
        other = "ui.tlsSecret" if ui.tls_secret else "ui.tls: off"
        for key, given in (("tlsNames", ui.tls_names), ("tlsRedraw", ui.tls_redraw)):
            if given:
                yield f"ui.{key}: only for a certificate that Argus makes; take {other} out, or this key"
    if ui.tls == "off" and ui.tls_secret:
        yield f"ui.tls: off, and yet ui.tlsSecret {ui.tls_secret} is the page's certificate; keep one of the keys"


def _is_address(host: str) -> bool:
    return re.fullmatch("[0-9.]+", host) is not None


@_needs("ui")
def _page_acme(settings: Settings) -> Iterator[str]:
    ui = settings.ui
    if ui.acme is None:
        return
    if not ui.own_certificate:
        other = "ui.tlsSecret" if ui.tls_secret else "ui.tls: off"
        yield f"ui.acme: only beside a certificate that Argus makes; take {other} out, or this key"
    if ui.host is None or _is_address(ui.host):
        yield (
            "ui.acme: an ACME server certifies DNS names; give ui.url as https://name[:port] with the page's, which "
            "resolves to the virtual IP"
        )
    for index, name in enumerate(ui.acme.names):
        if _is_address(name):
            yield f"ui.acme.names[{index}]: {name} is an address, and DNS-01 shows names alone; take it out"


@_needs("kafka")
def _quotas(settings: Settings) -> Iterator[str]:
    kafka = settings.kafka
    if kafka.transport == "plain" and "quotas" in kafka.model_fields_set:
        yield (
            "kafka.quotas: with kafka.transport: plain brokers do not know their clients, and give nobody a quota; set "
            "another transport, or remove the key"
        )
    of_clients = {f"quotas.clients.{name}": each for name, each in kafka.quotas.clients.items()}
    given: dict[str, Quota | Quotas] = {"quotas": kafka.quotas, **of_clients}
    for place, quota in given.items():
        for key, limit in (
            ("writeBytesPerSecond", quota.write_bytes_per_second),
            ("readBytesPerSecond", quota.read_bytes_per_second),
        ):
            if limit is not None and limit < kafka.max_message_bytes:
                yield (
                    f"kafka.{place}.{key}: {limit} is less than one frame may have, kafka.maxMessageBytes = "
                    f"{kafka.max_message_bytes}; give at least that, or remove the key"
                )


@_needs("kafka")
def _outside(settings: Settings) -> Iterator[str]:
    kafka, outside = settings.kafka, settings.kafka.outside
    if outside is None:
        return
    if kafka.transport != "tls":
        yield (
            f"kafka.outside: with kafka.transport: {kafka.transport} brokers allow what no rule denies, or ask nobody; "
            "set tls, or remove the key"
        )
    if (last := outside.ports(kafka.replicas)[-1]) > LAST_NODE_PORT:
        yield (
            f"kafka.outside.nodePort: {kafka.replicas} brokers from {outside.node_port} on need ports up to {last}, "
            f"and {LAST_NODE_PORT} is the last; choose a lower one"
        )
    for name, client in outside.clients.items():
        if not client.read and not client.write:
            yield f"kafka.outside.clients.{name}: it may do nothing; give read or write, or remove it"


@_needs("kafka", "ui")
def _outside_and_page(settings: Settings) -> Iterator[str]:
    kafka, page = settings.kafka, settings.ui.node_port
    ports = kafka.outside.ports(kafka.replicas) if kafka.outside else range(0)
    if page in ports:
        yield (
            f"kafka.outside.nodePort: the brokers take {ports[0]} to {ports[-1]}, and {page} is the page's "
            "(ui.nodePort); choose another for one of them"
        )


@_needs("elasticsearch")
def _quorum(settings: Settings) -> Iterator[str]:
    if settings.elasticsearch.replicas == 2:
        yield (
            "elasticsearch.replicas: 2 nodes have one voter, and without its machine the other cannot search; "
            "choose 1, or 3 and more"
        )


@_needs("ssh")
def _ssh(settings: Settings) -> Iterator[str]:
    ssh = settings.ssh
    yield from _login("ssh", ssh)
    if ssh.bastion is not None:
        yield from _login("ssh.bastion", ssh.bastion)
    if ssh.agent and not os.environ.get("SSH_AUTH_SOCK"):
        yield (
            "ssh.agent: SSH_AUTH_SOCK is not set here, so there is no agent; start one and give it the key "
            "(`eval $(ssh-agent) && ssh-add`), or name a privateKeyFile"
        )


def _login(key: str, login: Login) -> Iterator[str]:
    path = login.private_key_file
    if path is not None and (unreadable := _unreadable(path)):
        yield f"{key}.privateKeyFile: {path} {unreadable}; name the private key whose public half the machines accept"
        return
    given = "privateKeyFile" if path is not None else "privateKey"
    locked = ssh_keys.locked(login.key)
    if login.key and not ssh_keys.is_private(login.key):
        yield f"{key}.{given}: holds no private key (-----BEGIN … PRIVATE KEY-----); {_WHICH_KEY}"
    elif locked == "unknown":
        yield (
            f"{key}: the private key is encrypted in a form that pulumi-command cannot read; write a copy of it anew "
            "with `ssh-keygen -p -f COPY`, and give that"
        )
    elif locked == "yes" and not login.key_passphrase:
        yield (
            f"{key}.passphrase: the private key has one; `pulumi config set --secret --path 'argus:{key}.passphrase'`, "
            "or give the key to an agent and set ssh.agent"
        )
    elif locked == "no" and login.key_passphrase:
        yield f"{key}.passphrase: there is no private key here that has one; remove this, or give the other key"


def _unreadable(path: Path) -> str | None:
    """Why there is no text in a file, said of its path; None where there is."""
    if not path.is_file():
        return "does not exist" if not path.exists() else "is no file"
    try:
        return None if path.read_text(encoding="utf-8").strip() else "is empty"
    except UnicodeDecodeError:
        return "is no text"
    except OSError as refused:
        return f"cannot be read ({refused.strerror})"


@_needs("backup")
def _copy_key(settings: Settings) -> Iterator[str]:
    secret = settings.backup.copy_key
    if secret is None:
        return
    if not ssh_keys.is_private(secret.get_secret_value()):
        yield f"backup.copyKey: holds no private key (-----BEGIN … PRIVATE KEY-----); {_WHICH_KEY}"
    elif ssh_keys.locked(secret.get_secret_value()) != "no":
        yield (
            "backup.copyKey: has a passphrase, which nobody types on the machines; make a key for copies alone, "
            "`ssh-keygen -t ed25519 -N '' -f FILE`"
        )


@_needs("ssh", "machines")
def _host_keys(settings: Settings) -> Iterator[str]:
    machines, ssh = settings.machines, settings.ssh
    if ssh.host_keys == "pinned" or ssh.bastion is not None:
        why = "ssh.hostKeys is pinned" if ssh.host_keys == "pinned" else "none is read through ssh.bastion"
        for key, listed in (("controlPlanes", machines.control_planes), ("workers", machines.workers)):
            for index, machine in enumerate(listed):
                if machine.host_key is None:
                    yield (
                        f"machines.{key}[{index}].hostKey: {machine.name} has none, and {why}; give "
                        "the line in its /etc/ssh/ssh_host_ecdsa_key.pub, read on its own console (over a network that "
                        f"you trust: `ssh-keyscan -p {settings.ssh.port} -t ecdsa {machine.address}`, without the host)"
                    )


@_needs("machines")
def _kinds_of_host_keys(settings: Settings) -> Iterator[str]:
    control_planes = settings.machines.control_planes
    kinds = {machine.name: ssh_keys.kind(machine.host_key) for machine in control_planes if machine.host_key}
    if len(set(kinds.values())) > 1:
        given = ", ".join(f"{name}'s is {each}" for name, each in kinds.items())
        yield (
            f"machines.controlPlanes: {given}, but clients ask the machine at the endpoint for one kind; give the "
            "hostKey of one kind for all of them"
        )
