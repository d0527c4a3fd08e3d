"""Rules between the stages' sections and the rest of the stack."""

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from apps.messages.names import FRAMES_TOPIC, REJECTED_TOPIC, results_topic
from components.config import Settings
from components.config.rules import Rule
from components.config.sections import Images
from components.pipeline.kafka_grants import (
    MODEL_CLIENTS,
    MODEL_GROUPS,
    SUPER_USERS,
    clients_of,
    grants,
    grants_of,
    models_of,
)
from components.pipeline.stage import Stage
from components.pipeline.stages import OPTIONAL_IMAGES, OptionalImage, every_image, images


def rules(stages: Sequence[Stage]) -> list[Rule]:
    """The rule for the stack's images, and the rules that apply to each stage."""
    found = [
        Rule(needs=frozenset({"images"}), check=partial(_images, stages)),
        *(
            Rule(needs=frozenset({"images", each.section}), check=partial(_optional_image, each))
            for each in OPTIONAL_IMAGES
        ),
    ]
    found.append(Rule(needs=frozenset({"kafka", "models"}), check=_quotas))
    found.append(Rule(needs=frozenset({"kafka", "models"}), check=_outside))
    for stage in stages:
        if stage.keeps_data:
            found.append(_rule(stage, _placement, "machines", "cluster"))
        if stage.reads:
            found.append(_rule(stage, _lag, "kafka", "cameras", "producers", "models"))
        if stage.memory_key == "memory.requestMiB":
            found.append(_rule(stage, _vertical, "vertical"))
    return found


def _rule(stage: Stage, check: Callable[[Stage, Settings], Iterator[str]], *needs: str) -> Rule:
    return Rule(needs=frozenset({stage.section, *needs}), check=partial(check, stage))


def _images(stages: Sequence[Stage], settings: Settings) -> Iterator[str]:
    known = every_image(stages)
    for name in settings.images.overrides.keys() - known.keys():
        yield f"images.overrides: there is no image {name!r}; the images are {', '.join(known)}"
    if images(stages).keys() - settings.images.overrides.keys() and shutil.which("curl") is None:
        yield (
            "images.registry: curl asks the registry for the images that are built on this computer, where it is not "
            "found; install curl, or name every image in images.overrides"
        )
    yield from _registry(images(stages), settings)


def _optional_image(optional: OptionalImage, settings: Settings) -> Iterator[str]:
    if keys := optional.keys(settings):
        yield from _registry([optional.image.name], settings, why=f" ({' and '.join(keys)})")


def _registry(names: Iterable[str], settings: Settings, *, why: str = "") -> Iterator[str]:
    """Images that are built, not named, need a registry."""
    built = [name for name in names if name not in settings.images.overrides]
    section = settings.images
    if section.registry is None and built:
        yield f"images.registry: required to build {', '.join(built)}{why}; name one that the machines pull from"
    if section.registry and section.signers:
        yield from _signers_of_built(built, section)


def _signers_of_built(names: Iterable[str], section: Images) -> Iterator[str]:
    """What is built here is always verified, as whoever can push to the registry may have put another image there."""
    for name in names:
        reference = section.built(name)
        found = section.signer(f"{reference}:0")
        if found is None or found[1].unsigned:
            yield (
                f"images.signers: none with keys is for {reference}, which is built here; add `images: "
                f"{section.registry}/*` with the public half of images.signing's key"
            )


def _quotas(settings: Settings) -> Iterator[str]:
    known = clients_of(grants_of(settings))
    for name in settings.kafka.quotas.clients:
        if name not in known:
            yield f"kafka.quotas.clients: no client of Kafka is called {name!r}; they are {', '.join(known)}"


def _outside(settings: Settings) -> Iterator[str]:
    """Clients outside name topics that there are, and nothing that is a stage's own."""
    outside, own = settings.kafka.outside, grants(models_of(settings))
    if outside is None:
        return
    topics = [FRAMES_TOPIC, *(results_topic(model.name) for model in settings.models), REJECTED_TOPIC]
    groups = {grant.name for grant in own if grant.resource == "group"}
    stages = {*clients_of(own), *SUPER_USERS}
    for name, client in outside.clients.items():
        key = f"kafka.outside.clients.{name}"
        if name in stages or name.startswith(MODEL_CLIENTS):
            yield f"{key}: this is the name of a stage, or may be a model's; choose another"
        for kind, named in (("read", client.read), ("write", client.write)):
            for topic in named:
                if topic not in topics:
                    yield f"{key}.{kind}: there is no topic {topic!r}; the topics are {', '.join(topics)}"
        for group in client.groups:
            if group in groups or group.startswith(MODEL_GROUPS):
                yield f"{key}.groups: {group!r} is the group of a stage, which would lose partitions; choose another"


def _placement(stage: Stage, settings: Settings) -> Iterator[str]:
    replicas = getattr(settings, stage.section).replicas
    key, most = ("replicas", replicas) if isinstance(replicas, int) else ("replicas.maximum", replicas.maximum)
    machines = len(settings.schedulable_machines)
    if most > machines:
        yield (
            f"{stage.section}.{key}: {most}, each on a machine of its own, and only {machines} machines run pods; "
            "add workers or set cluster.schedulePodsOnControlPlanes: true"
        )


def _lag(stage: Stage, settings: Settings) -> Iterator[str]:
    """A stage that follows lag has at most one pod per partition, and enough pods for the cameras' load."""
    replicas = getattr(settings, stage.section).replicas
    frames = sum(camera.frames_per_second or 0 for camera in settings.filled_cameras)
    load = sum({"frames": frames, "results": frames * len(settings.models)}[topic] for topic in stage.reads)
    most, each, partitions = replicas.maximum, replicas.records_per_second, settings.kafka.partitions
    if most > partitions:
        yield (
            f"{stage.section}.replicas.maximum: {most} pods, but only kafka.partitions = {partitions} can be read at "
            f"once; {partitions} pods are the most"
        )
    elif most * each < load:
        yield (
            f"{stage.section}.replicas.maximum: {most} pods x recordsPerSecond {each} = {most * each} records/s, and "
            f"the cameras and models make {load:.0f}; {math.ceil(load / each)} pods are needed"
        )


def _vertical(stage: Stage, settings: Settings) -> Iterator[str]:
    """No pod starts with more memory than the Vertical Pod Autoscaler may give it."""
    most = settings.vertical.maximum_memory_mib
    for key, section in stage.sections(settings):
        if section.vertical == "apply" and section.memory.request_mib > most:
            yield (
                f"{key}.memory.requestMiB: {section.memory.request_mib} is above vertical.maximumMemoryMiB = {most}, "
                "which no pod gets more than; lower one or raise the other"
            )
