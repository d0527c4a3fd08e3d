"""The stages of the pipeline, and what the program makes for all of them.

A new stage is a module with a STAGE, a section of the stack's configuration, and a line here.
"""

from collections.abc import Iterable
from typing import Final

from components.config import Settings
from components.images import Image
from components.pipeline import (
    consumer,
    elasticsearch,
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
    ui.STAGE,
)
"""In the order in which they are declared: a stage comes after those whose outputs it takes."""


def images(stages: Iterable[Stage]) -> dict[str, Image]:
    """The stages' images by name."""
    return {stage.image.name: stage.image for stage in stages}


def moving_images(stages: Iterable[Stage]) -> list[str]:
    """The names of the images of pods that may move."""
    return sorted({stage.image.name for stage in stages if stage.kind == "Deployment"})


def volumes_gib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """The size of a pod's volume by stage, of those that keep data; none where the user brings a storage class."""
    if settings.storage.class_name:
        return {}
    return {stage.name: getattr(settings, stage.section).volume_gib for stage in stages if stage.keeps_data}


def pod_memory_mib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """The memory that a machine must have free for one of a stage's larger pods, by the key that says it."""
    return {
        f"{key}.{stage.memory_key}": section.memory.request_mib
        for stage in stages
        if stage.memory_key
        for key, section in stage.sections(settings)
    }
