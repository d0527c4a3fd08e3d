"""The stages of the pipeline, and what the program makes for all of them.

A new stage is a module with a STAGE, a section of the stack's configuration, and a line here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from components.cluster import policy_agent
from components.config import Settings
from components.images import Image
from components.pipeline import (
    acme,
    comparison,
    consumer,
    elasticsearch,
    elasticsearch_proxy,
    filebeat,
    kafka,
    model_job,
    producers,
    topics,
    ui,
    zookeeper,
)
from components.pipeline.stage import Stage

STAGES: Final = (
    zookeeper.STAGE,
    kafka.STAGE,
    topics.STAGE,
    elasticsearch.STAGE,
    filebeat.STAGE,
    model_job.STAGE,
    producers.STAGE,
    consumer.STAGE,
    comparison.STAGE,
    ui.STAGE,
)
"""In the order of declaration: a stage comes after the stages whose outputs it needs."""


@dataclass(frozen=True, kw_only=True)
class OptionalImage:
    """The image of a part that no stage names, and that not every stack has."""

    image: Image
    section: str
    """The section of the stack that says whether it has the part."""
    keys: Callable[[Settings], Sequence[str]]
    """The keys of the section by which a stack asks for the part, as `section.key`; none if it has no such part."""


OPTIONAL_IMAGES: Final = (
    OptionalImage(
        image=policy_agent.IMAGE,
        section="cluster",
        keys=lambda settings: ["cluster.networkPolicies"] if settings.cluster.enforces_policies else [],
    ),
    OptionalImage(
        image=acme.IMAGE, section="ui", keys=lambda settings: [] if settings.ui.acme is None else ["ui.acme"]
    ),
    OptionalImage(image=elasticsearch_proxy.IMAGE, section="elasticsearch", keys=elasticsearch.keys_of_proxies),
)


def images(stages: Iterable[Stage]) -> dict[str, Image]:
    """The stages' images, by name."""
    return {stage.image.name: stage.image for stage in stages}


def every_image(stages: Iterable[Stage]) -> dict[str, Image]:
    """The stages' images and the optional ones, by name."""
    return images(stages) | {each.image.name: each.image for each in OPTIONAL_IMAGES}


def images_of(stages: Iterable[Stage], settings: Settings) -> list[Image]:
    """The images that a stack needs."""
    return [*images(stages).values(), *(each.image for each in OPTIONAL_IMAGES if each.keys(settings))]


def moving_images(stages: Iterable[Stage]) -> list[str]:
    """The sorted names of the images of pods that may move."""
    moving = [stage for stage in stages if stage.kind == "Deployment"]
    return sorted({name for stage in moving for name in (stage.image.name, *stage.images_beside)})


def volumes_gib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """Volume size (GiB) of a pod of each stage that keeps data; empty where the stack names a storage class."""
    if settings.storage.class_name:
        return {}
    return {stage.name: getattr(settings, stage.section).volume_gib for stage in stages if stage.keeps_data}


def pod_memory_mib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """Memory request (MiB) of the larger kind of pod of each stage, by the configuration key that sets it."""
    return {
        f"{key}.{stage.memory_key}": section.memory.request_mib
        + sum(memory.request_mib for memory in stage.beside(settings).values())
        for stage in stages
        if stage.memory_key
        for key, section in stage.sections(settings)
    }
