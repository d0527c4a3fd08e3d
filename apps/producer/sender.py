"""Sends frames to Kafka with idempotence and `acks=all`, and reports the delivery of each."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from apps.messages import Frame, frame_headers

log = logging.getLogger(__name__)

Answer = Callable[[bool], None]
"""Called once for every accepted frame with whether it was delivered."""

_OVERHEAD_BYTES = 4096
_DELIVERY_TIMEOUT_MS = 300_000
_QUEUE_KBYTES = 32_768


class Sender(Protocol):
    """Accepts frames and reports whether each was delivered."""

    def send(self, frame: Frame, answer: Answer) -> bool:
        """Accept a frame, waiting while the queue is full. Returns False if it stops first."""
        ...


class KafkaSender:
    """Sends frames to one topic."""

    def __init__(
        self, connection: Mapping[str, str], topic: str, max_frame_bytes: int, stopping: threading.Event
    ) -> None:
        """`connection` are librdkafka's settings that reach the brokers."""
        self._topic = topic
        self._stopping = stopping
        self._closed = threading.Event()
        self.fatal: str | None = None
        self._producer = Producer(
            {
                **connection,
                "client.id": f"argus-producer-{socket.gethostname()}",
                "enable.idempotence": True,
                "acks": "all",
                # Kafka's own partitioner, so that a camera has the same partition with every client.
                "partitioner": "murmur2_random",
                "compression.type": "none",
                "linger.ms": 50,
                "message.timeout.ms": _DELIVERY_TIMEOUT_MS,
                "message.max.bytes": max_frame_bytes + _OVERHEAD_BYTES,
                "queue.buffering.max.kbytes": max(_QUEUE_KBYTES, 4 * max_frame_bytes // 1024),
                "error_cb": self._on_error,
                "logger": logging.getLogger("librdkafka"),
            }
        )
        self._poller = threading.Thread(target=self._poll, name="kafka-answers", daemon=True)
        self._poller.start()

    def send(self, frame: Frame, answer: Answer) -> bool:
        """Accept a frame, waiting while the queue is full. Returns False if it stops first."""

        def answered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                log.error("%s: frame %d was not delivered: %s", frame.camera, frame.sequence, error)
            answer(error is None)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=frame.camera.encode(),
                    value=frame.jpeg,
                    headers=[*frame_headers(frame)],
                    timestamp=int(frame.captured_at.timestamp() * 1000),
                    on_delivery=answered,
                )
            except BufferError:
                if self._stopping.wait(0.1):
                    return False
            else:
                return True

    def close(self, timeout: float) -> int:
        """Flush the queue; returns the number of frames still unanswered after `timeout` seconds."""
        self._closed.set()
        self._poller.join()
        left: int = self._producer.flush(timeout)
        return left

    def _poll(self) -> None:
        while not self._closed.is_set():
            try:
                self._producer.poll(0.2)
            except KafkaException:
                log.exception("an answer of Kafka's could not be served")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.fatal = str(error)
            log.critical("Kafka's client gave up: %s", error)
        else:
            log.warning("Kafka: %s", error)
