"""What must hold between the keys of a stack. Each rule yields problems; none of them touches a machine."""

import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from apps.weights import Contract, Precision, WeightsError, read_weights
from components import versions
from components.config import manifest
from components.config.code import problems_of_code
from components.config.sections import Model, Settings
from components.ssh_keys import kind

IMAGES = ("kafka", "zookeeper", "elasticsearch", "filebeat", "producer", "spark", "consumer", "ui")
"""The folders of containers/."""

EXECUTOR_MIB, WORKER_MIB = 500, 150
"""What an executor's JVM and daemon, and what each of its Python workers, hold beside a user's code (MiB)."""

_MODEL_CLASS = re.compile(rb"cultralytics\.nn\.tasks\n(\w+)\n")
"""How a pickle names a class: the opcode `c`, the module, the name."""

CHECKPOINTS = frozenset(
    ("DetectionModel", "SegmentationModel", "PoseModel", "OBBModel", "ClassificationModel", "RTDETRDetectionModel")
)
"""The models of Ultralytics that Argus runs; its other tasks (depth, semantic, world) answer with something else."""


def problems(settings: Settings) -> list[str]:
    """Every problem, each as `key: what is wrong; what to do`. A rule about an absent section is skipped."""
    found: list[str] = []
    machines = (_machines, _host_keys, _networks, _manifest, _version)
    for rule in (*machines, _images, _cameras, _models, _lag, _vertical, _quorum, _placement, _ssh):
        with suppress(AttributeError):
            found.extend(rule(settings))
    return found


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


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
    if not settings.schedulable_machines:
        yield (
            "machines.workers: no machine may run pods; list workers that are not on standby, or set "
            "cluster.schedulePodsOnControlPlanes: true"
        )


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
        for machine in settings.all_machines:
            if machine.address in network:
                yield f"cluster.{key}: {network} contains machine {machine.name} ({machine.address}); choose another"
    if any(machine.address == cluster.endpoint for machine in settings.all_machines):
        yield f"cluster.endpoint: {cluster.endpoint} is a machine's own address; choose a free one on the same network"
    if cluster.endpoint_port == 6443:
        yield "cluster.endpointPort: 6443 is the API server's own on each control plane; choose another, such as 8443"
    nodes, room = len(settings.all_machines), 2 ** max(0, 24 - cluster.pod_network.prefixlen)
    if nodes > room:
        yield f"cluster.podNetwork: {cluster.pod_network} holds {room} nodes of a /24 each; {nodes} machines are listed"


def _manifest(settings: Settings) -> Iterator[str]:
    if source := settings.cluster.network.manifest:
        try:
            manifest.read(source)
        except manifest.ManifestError as unusable:
            yield f"cluster.network.manifest: {unusable}"


def _version(settings: Settings) -> Iterator[str]:
    wanted = settings.cluster.kubernetes_version
    if wanted.rpartition(".")[0] not in versions.KUBERNETES_MINORS:
        supported = ", ".join(f"{minor}.x" for minor in versions.KUBERNETES_MINORS)
        yield f"cluster.kubernetesVersion: {wanted} is not supported; choose {supported}"


def _images(settings: Settings) -> Iterator[str]:
    overrides = settings.images.overrides
    for name in overrides.keys() - set(IMAGES):
        yield f"images.overrides: there is no image {name!r}; the images are {', '.join(IMAGES)}"
    missing = [name for name in IMAGES if name not in overrides]
    if settings.images.registry is None and missing:
        yield f"images.registry: required to build {', '.join(missing)}; name one that the machines pull from"


def _cameras(settings: Settings) -> Iterator[str]:
    names = [camera.name for camera in settings.cameras]
    for name in _repeated(names):
        yield f"cameras: the name {name!r} is used more than once; every camera needs its own"
    for name in settings.camera_credentials.keys() - set(names):
        yield f"cameraCredentials: there is no camera {name!r}; remove it or add the camera"
    count = settings.producers.count
    if count is not None and count > len(names):
        yield f"producers.count: {count} for {len(names)} cameras; use at most one a camera"


def _models(settings: Settings) -> Iterator[str]:
    for name in _repeated(model.name for model in settings.models):
        yield f"models: the name {name!r} is used more than once; every model needs its own"
    for index, model in enumerate(settings.models):
        most, cores, partitions = model.executors.maximum, model.cores_per_executor, settings.kafka.partitions
        if most * cores > partitions:
            yield (
                f"models[{index}].executors.maximum: {most} executors x {cores} cores = {most * cores} tasks, but only "
                f"kafka.partitions = {partitions} can be read at once; {partitions // cores} executors are the most"
            )
        if model.kind == "objects":
            for problem in _weights(model):
                yield f"models[{index}].{problem}"
        if model.code is not None:
            for problem in problems_of_code(model.code):
                yield f"models[{index}].code: {problem}"
            yield from _call_memory(f"models[{index}]", model)


def _call_memory(key: str, model: Model) -> Iterator[str]:
    """What a user's code may hold fits beside what an executor, and the driver that tries it, hold without it."""
    cores, each = model.cores_per_executor, model.call_memory_mib
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


def _lag(settings: Settings) -> Iterator[str]:
    """Stages that share a consumer group: no more pods than can read, and enough for the cameras."""
    frames = sum(camera.frames_per_second or 0 for camera in settings.filled_cameras)
    results = frames * len(settings.models)
    partitions = settings.kafka.partitions
    stages = {
        "filebeat": (settings.filebeat.replicas, results),
        "consumer": (settings.consumer.replicas, frames + results),
    }
    for stage, (replicas, load) in stages.items():
        most, each = replicas.maximum, replicas.records_per_second
        if most > partitions:
            yield (
                f"{stage}.replicas.maximum: {most} pods, but only kafka.partitions = {partitions} can be read at once; "
                f"{partitions} pods are the most"
            )
        elif most * each < load:
            yield (
                f"{stage}.replicas.maximum: {most} pods x recordsPerSecond {each} = {most * each} records/s, and the "
                f"cameras and models make {load:.0f}; {math.ceil(load / each)} pods are needed"
            )


def _vertical(settings: Settings) -> Iterator[str]:
    """Nobody begins with more than the Vertical Pod Autoscaler would let them have."""
    most = settings.vertical.maximum_memory_mib
    for stage in ("producers", "filebeat", "consumer", "ui"):
        section = getattr(settings, stage)
        if section.vertical == "apply" and section.memory.request_mib > most:
            yield (
                f"{stage}.memory.requestMiB: {section.memory.request_mib} is above vertical.maximumMemoryMiB = {most}, "
                "which no pod gets more than; lower one or raise the other"
            )


def _weights(model: Model) -> Iterator[str]:
    """Why a network cannot run, by its key. Of a checkpoint, exported by the image's build, only its kind is known."""
    place = model.network
    if not place.exists():
        yield f"weights: {place} does not exist; give a .pt file, an .onnx file or the folder of an OpenVINO export"
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
    """The classes of a network that can be run. Raises WeightsError for one that cannot."""
    return read_weights(place, contract, size=size, precision=precision).names


def _labels(model: Model, names: tuple[str, ...]) -> Iterator[str]:
    """Labels that the model never gives are misspelled."""
    for key, labels in (("labels", model.labels or ()), ("scoreThresholds", tuple(model.score_thresholds))):
        for label in labels:
            if label not in names:
                yield f"{key}: the model knows no {label!r}; it knows {', '.join(names[:100])}"


def _checkpoint(path: Path) -> Iterator[str]:
    """A checkpoint is a zip archive with a pickle that names the model's class. Unpickling it would run its code."""
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


def _quorum(settings: Settings) -> Iterator[str]:
    if settings.elasticsearch.replicas == 2:
        yield (
            "elasticsearch.replicas: 2 nodes have one voter, and without its machine the other cannot search; "
            "choose 1, or 3 and more"
        )


def _placement(settings: Settings) -> Iterator[str]:
    room = len(settings.schedulable_machines)
    apart = {f"{key}.replicas": getattr(settings, key).replicas for key in ("zookeeper", "kafka", "elasticsearch")}
    for key, most in (apart | {"consumer.replicas.maximum": settings.consumer.replicas.maximum}).items():
        if most > room:
            yield (
                f"{key}: {most}, each on a machine of its own, and only {room} machines run pods; "
                "add workers or set cluster.schedulePodsOnControlPlanes: true"
            )


def _ssh(settings: Settings) -> Iterator[str]:
    path = settings.ssh.private_key_file
    if path is not None and not path.is_file():
        yield f"ssh.privateKeyFile: {path} does not exist; name the private key whose public half the machines accept"


def _host_keys(settings: Settings) -> Iterator[str]:
    machines = settings.machines
    if settings.ssh.host_keys == "pinned":
        for key, listed in (("controlPlanes", machines.control_planes), ("workers", machines.workers)):
            for index, machine in enumerate(listed):
                if machine.host_key is None:
                    yield (
                        f"machines.{key}[{index}].hostKey: {machine.name} has none, and ssh.hostKeys is pinned; give "
                        "the line in its /etc/ssh/ssh_host_ecdsa_key.pub, read on its own console (over a network that "
                        f"you trust: `ssh-keyscan -p {settings.ssh.port} -t ecdsa {machine.address}`, without the host)"
                    )
    kinds = {machine.name: kind(machine.host_key) for machine in machines.control_planes if machine.host_key}
    if len(set(kinds.values())) > 1:
        given = ", ".join(f"{name}'s is {each}" for name, each in kinds.items())
        yield (
            f"machines.controlPlanes: {given}, and whoever has the endpoint is asked for one kind; give the hostKey of "
            "one kind for all of them"
        )
