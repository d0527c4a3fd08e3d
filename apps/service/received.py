"""What the client's types do not say of a record received from Kafka."""

from typing import cast

from confluent_kafka import Message


def headers_of(message: Message) -> list[tuple[str, bytes | None]] | None:
    """The record's headers: received ones are a list of pairs; the client's type also has a dictionary, for sending."""
    return cast(list[tuple[str, bytes | None]] | None, message.headers())
