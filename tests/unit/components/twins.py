"""Examples that test_defaults.py must find: a section's twin, a duplicate default, and a copy of settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from components.config import Settings


@dataclass(frozen=True, kw_only=True)
class KafkaArgs:
    """Repeats the section's fields."""

    image: str = "kafka:1"
    replicas: int = 3
    heap_mib: int
    volume_gib: int = field(default_factory=lambda: 8)
    storage_class: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> KafkaArgs:
        """Copies a section."""
        return cls(replicas=settings.kafka.replicas, heap_mib=settings.kafka.heap_mib)


def retention(retention_hours: int = 48, seconds: int = 60) -> int:
    """The first parameter repeats the consumer's default."""
    return retention_hours * 3600 + seconds
