"""The stages of the pipeline, and what the program makes for all of them.

A new stage is a module with a STAGE, a section of the stack's configuration, and a line here.
"""

from collections.abc import Iterable
from typing import Final

from components.config import Settings
from components.images import Image
from components.pipeline import (
    comparison,
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
    comparison.STAGE,
    ui.STAGE,
)
"""In the order of declaration: a stage comes after the stages whose outputs it needs."""


def images(stages: Iterable[Stage]) -> dict[str, Image]:
    """The stages' images, by name."""
    return {stage.image.name: stage.image for stage in stages}


def moving_images(stages: Iterable[Stage]) -> list[str]:
    """The sorted names of the images of pods that may move."""
    return sorted({stage.image.name for stage in stages if stage.kind == "Deployment"})


def volumes_gib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """Volume size (GiB) of a pod of each stage that keeps data; empty where the stack names a storage class."""
    if settings.storage.class_name:
        return {}
    return {stage.name: getattr(settings, stage.section).volume_gib for stage in stages if stage.keeps_data}


def pod_memory_mib(stages: Iterable[Stage], settings: Settings) -> dict[str, int]:
    """Memory request (MiB) of the larger kind of pod of each stage, by the configuration key that sets it."""
    return {
        f"{key}.{stage.memory_key}": section.memory.request_mib
        for stage in stages
        if stage.memory_key
        for key, section in stage.sections(settings)
    }
