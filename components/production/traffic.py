"""What a stack's cameras make: bytes and records a second, the cores that they take, and what disks hold of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from apps.consumer.storage import BLOCK
from components.config import Settings
from components.config.sections import Model
from components.pipeline.consumer import DISK_SHARE
from components.pipeline.elasticsearch import WATERMARKS, index_template
from components.pipeline.topics import FRAMES_SHARE, RESULTS_SHARE, pipeline_topics
from components.production.measured import (
    CAMERA_MBIT,
    CONSUMER,
    FILEBEAT,
    FRAME_BYTES,
    MEASURED_WIDTH,
    RESULT_BYTES,
    cost_of,
    tables,
)

DAY: Final = 24 * 3600
"""Seconds."""
GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one pod of a service must hold, and its volume."""

    key: str
    """The key of the volume's size."""
    asked_hours: float
    bytes_a_day: float
    """Written by a pod in a day."""
    share: float
    """The share of the volume that may be filled."""
    volume_gib: int

    @property
    def needed_gib(self) -> int:
        """The volume that holds all of it for as long as asked (GiB)."""
        return math.ceil(self.bytes_a_day / 24 * self.asked_hours / self.share / GIB)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The load of a stack whose cameras all send at their rate, and whose models look at every frame."""

    settings: Settings

    @property
    def frames(self) -> float:
        """Frames a second of all cameras."""
        return sum(camera.frames_per_second or 0 for camera in self.settings.filled_cameras)

    @property
    def results(self) -> float:
        """Results a second of all models."""
        return self.frames * len(self.settings.models)

    @property
    def frame_bytes(self) -> float:
        """Bytes a second of all frames; a frame's size goes with its area."""
        return sum(
            (camera.frames_per_second or 0) * FRAME_BYTES.value * ((camera.width or 0) / MEASURED_WIDTH) ** 2
            for camera in self.settings.filled_cameras
        )

    @property
    def result_bytes(self) -> float:
        """Bytes a second of all results."""
        return self.results * RESULT_BYTES.value

    @property
    def cores(self) -> Mapping[str, float]:
        """Cores in use on average, by part."""
        settings, parts = self.settings, tables()
        java = parts["Spark's Java"]
        return {
            **{
                f"model {name}": self._models(models) + java.cores(1, self.frames)
                for name, models in settings.applications.items()
            },
            "brokers": parts["brokers"].cores(settings.kafka.replicas, self.frames),
            "Elasticsearch": parts["Elasticsearch"].cores(settings.elasticsearch.replicas, self.frames),
            "consumers": CONSUMER.cores(settings.consumer.replicas.minimum, self.frames + self.results),
            "Filebeat": FILEBEAT.cores(settings.filebeat.replicas.minimum, self.results),
            "producers and the page": parts["producers and the page"].cores(1, self.frames),
            "Kubernetes and all else on machines": sum(
                parts[part].cores(len(settings.all_machines), self.frames)
                for part in ("Kubernetes itself", "all else on machines")
            ),
        }

    def _models(self, models: Iterable[Model]) -> float:
        return sum(cost_of(model).cores(1, self.frames) for model in models)

    @property
    def network(self) -> Mapping[str, float]:
        """Bytes a second between machines, by way; pods that happen to share a machine save some of it."""
        frames, results = self.frame_bytes, self.result_bytes
        page = self.settings.ui.replicas.maximum
        return {
            "cameras to producers": len(self.settings.cameras) * CAMERA_MBIT.value * 1e6 / 8,
            "producers to brokers": frames,
            "between brokers": (frames + results) * (self._kafka_copies - 1),
            "brokers to models": frames * len(self.settings.applications),
            "models to brokers": results,
            "brokers to consumers": frames + results,
            "brokers to the page": (frames + results) * page,
            "results to Elasticsearch": results * (1 + self._index_copies),
        }

    @property
    def kept(self) -> Mapping[str, Kept]:
        """What the pods of each service hold."""
        settings, frames, results = self.settings, self.frame_bytes, self.result_bytes
        kafka, search, consumer = settings.kafka, settings.elasticsearch, settings.consumer
        of_broker = self._kafka_copies / kafka.replicas * DAY
        of_consumer = (frames + self.frames * BLOCK / 2 + self.results * BLOCK) * DAY / consumer.replicas.minimum

        def on_broker(bytes_a_second: float, share: float) -> Kept:
            return Kept(
                key="kafka.volumeGiB",
                asked_hours=kafka.retention_hours,
                bytes_a_day=bytes_a_second * of_broker,
                share=share,
                volume_gib=kafka.volume_gib,
            )

        return {
            "frames in Kafka": on_broker(frames, FRAMES_SHARE),
            "results in Kafka": on_broker(results, RESULTS_SHARE),
            "pictures and results on disk": Kept(
                key="consumer.volumeGiB",
                asked_hours=consumer.retention_hours,
                bytes_a_day=of_consumer,
                share=DISK_SHARE,
                volume_gib=consumer.volume_gib,
            ),
            "results in Elasticsearch": Kept(
                key="elasticsearch.volumeGiB",
                asked_hours=24 * search.retention_days,
                bytes_a_day=results * self._index_copies * DAY / search.replicas,
                share=1 - WATERMARKS["low"] / 100,
                volume_gib=search.volume_gib,
            ),
        }

    @property
    def _kafka_copies(self) -> int:
        frames, *_ = pipeline_topics(self.settings.kafka, [model.name for model in self.settings.models])
        return frames.replication

    @property
    def _index_copies(self) -> int:
        template = index_template(self.settings.elasticsearch.replicas)["template"]
        return 1 + int(template["settings"]["number_of_replicas"])
