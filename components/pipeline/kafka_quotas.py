"""What each client of Kafka may take of a broker: the table from which the brokers' quotas are made (ADR 55)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from components.config import Settings
from components.config.sections import Quota
from components.pipeline.kafka_grants import clients_of, grants_of

_SETTINGS: Final = {
    "request_percentage": "request_percentage",
    "write_bytes_per_second": "producer_byte_rate",
    "read_bytes_per_second": "consumer_byte_rate",
}
"""Kafka's name of each limit."""


def quotas_file(settings: Settings) -> str:
    """The table as quotas.sh reads it: a line for each client that has a limit. Brokers and the jobs that make topics
    have none."""
    table = {client: settings.kafka.quotas.of(client) for client in clients_of(grants_of(settings))}
    lines = {client: ",".join(_limits(quota)) for client, quota in sorted(table.items())}
    return "".join(f"{client} {limits}\n" for client, limits in lines.items() if limits)


def _limits(quota: Quota) -> Iterator[str]:
    for field, name in _SETTINGS.items():
        if (limit := getattr(quota, field)) is not None:
            yield f"{name}={limit:g}" if isinstance(limit, float) else f"{name}={limit}"
