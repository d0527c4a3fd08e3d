"""Runs in an executor's Python worker: Arrow batches of Kafka records in, each model's answers for the sink out."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import pyarrow as pa

from apps.messages import (
    OVERLOAD,
    Detection,
    FrameError,
    Result,
    Skipped,
    frame_from_kafka,
    from_milliseconds,
    result_to_json,
)
from apps.messages.frame import Headers
from apps.model_api.jpeg import SharedFrame
from apps.spark_jobs.gate import Gate, load_gate
from apps.spark_jobs.models import Model, load_model
from apps.spark_jobs.overload import Thinning, load_thinning
from apps.spark_jobs.spec import JobSpec, Offsets

logger = logging.getLogger(__name__)

MODEL = "model"
"""The column with the name of the model that gave the answer."""

ANSWERS_SCHEMA = (
    "topic string, partition int, key binary, value binary, headers array<struct<key: string, value: binary>>, "
    f"{MODEL} string"
)
"""The columns of Spark's Kafka sink, and MODEL."""

SKIPPED = "skipped"
"""The header of a result whose frame the model did not look at; the driver counts these."""

TIMESTAMP_TYPE, LOG_APPEND_TIME = "timestampType", 1
"""The column that says whose clock `timestamp` is from, and its value for the broker's."""

ENVELOPE_BYTES = 4096
"""Bytes below the record limit that a written record keeps free for its key, its headers and Kafka's framing."""

KEY_BYTES, HEADERS_BYTES, REASON_BYTES = 1024, 2048, 512
"""The most of a record's key, of its sender's headers together, and of the reason, that a rejected record keeps."""

HEADER_OVERHEAD = 12
"""Bytes of Kafka's framing for a header, at most."""

_ARROW_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A Kafka record that was read or is to be written (`partition` None: chosen by its key).

    `taken_at` is the time at which Kafka took a record that was read; None if its time is the sender's.
    """

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    taken_at: datetime | None = None

    @cached_property
    def frame(self) -> SharedFrame:
        """The frame in the record, parsed once for all models. Raises FrameError if there is none."""
        return SharedFrame.of(frame_from_kafka(self.key, self.value, self.headers, self.taken_at))


def process(
    batches: Iterable[pa.RecordBatch], specs: Sequence[JobSpec], answered: Mapping[str, Offsets]
) -> Iterator[pa.RecordBatch]:
    """Exactly one record to write for each record read and model: its result, or the record itself, rejected.

    `answered` has by model and partition the offset below which the model has answered the records before.
    """
    models = [_Answering(load_model(spec), spec, answered.get(spec.model, {})) for spec in specs]
    for batch in batches:
        answers: list[Record] = []
        by: list[str] = []
        for model in models:
            model.begin(batch)
        for record, partition, offset in zip(from_arrow(batch), *_places(batch), strict=True):
            for model in models:
                if offset >= model.answered.get(partition, 0):
                    answers.append(model.answer(record))
                    by.append(model.spec.model)
        yield to_arrow(answers).append_column(MODEL, pa.array(by, pa.string()))


def prepare(batches: Iterable[pa.RecordBatch], specs: Sequence[JobSpec]) -> Iterator[pa.RecordBatch]:
    """The same batches, after this process has loaded the models."""
    for spec in specs:
        load_model(spec)
    yield from batches


class _Answering:
    """A model with what decides, in this process, which frames it looks at."""

    def __init__(self, model: Model, spec: JobSpec, answered: Offsets) -> None:
        self.spec, self.answered = spec, answered
        self._model, self._gate, self._thinning = model, load_gate(spec), load_thinning(spec)
        self._share = 1.0

    def begin(self, batch: pa.RecordBatch) -> None:
        """Find how late the batch is."""
        if self._thinning is not None:
            self._share = self._thinning.share(batch.column("timestamp").to_pylist())

    def answer(self, record: Record) -> Record:
        """The answer to one of the batch's records."""
        return answer(record, self._model, self.spec, self._gate, thinning=self._thinning, share=self._share)


def answer(
    record: Record,
    model: Model,
    spec: JobSpec,
    gate: Gate | None = None,
    *,
    thinning: Thinning | None = None,
    share: float = 1.0,
) -> Record:
    """One model's result of one frame, or the rejected record with the reason.

    The model looks unless the thinning, at this share, or else the gate decides against it.
    """
    try:
        if record.value is not None and len(record.value) > spec.max_frame_bytes:
            raise FrameError(f"the value has {len(record.value)} bytes, more than {spec.max_frame_bytes}")
        frame = record.frame
        detections: tuple[Detection, ...] = ()
        skipped: Skipped | None = None
        if thinning is not None and not thinning.looks(frame.camera, share):
            skipped = Skipped(reason=OVERLOAD, carried_from=None)
        elif gate is None:
            detections = model.detect(frame)
        else:
            detections, skipped = gate.detect(frame, model.detect)
    except FrameError as error:
        return reject(record, str(error), spec)
    except Exception as error:
        # A poisoned frame must not stop the others: on any error of the model, this frame is rejected.
        logger.exception("model %s failed on a frame of %r", spec.model, record.key)
        return reject(record, f"model {spec.model} failed: {type(error).__name__}: {error}", spec)
    result = Result(
        camera=frame.camera,
        sequence=frame.sequence,
        captured_at=frame.captured_at,
        width=frame.width,
        height=frame.height,
        model=spec.model,
        model_version=model.version,
        processed_at=datetime.now(UTC),
        detections=detections,
        skipped=skipped,
    )
    value, room = result_to_json(result), spec.max_frame_bytes - ENVELOPE_BYTES
    if len(value) > room:
        # Kafka would refuse it, and so the whole batch would fail at every attempt.
        return reject(record, f"{len(detections)} detections, {len(value)} bytes: over {room}", spec)
    return Record(
        topic=spec.results_topic,
        partition=record.partition,
        key=result.id.encode(),
        value=value,
        headers=[] if skipped is None else [(SKIPPED, skipped.reason.encode())],
    )


def reject(record: Record, reason: str, spec: JobSpec) -> Record:
    """The record for the rejected topic: unchanged, with the model and the reason as headers.

    Kafka took the record as it was, but not with more headers if it is as large as is allowed, and one record that
    Kafka refuses stops the model for good. So what is too large is cut, and a header has the original size in bytes:
    `truncated` of the value, `truncated_key`, and `truncated_headers` of all headers, of which the first are kept.
    """
    headers, left_out = _first_headers(record.headers)
    headers += [("model", spec.model.encode()), ("reason", _cut(reason))]
    key, value, room = record.key, record.value, max(0, spec.max_frame_bytes - ENVELOPE_BYTES)
    if left_out:
        headers.append(("truncated_headers", str(left_out).encode()))
    if key is not None and len(key) > KEY_BYTES:
        headers.append(("truncated_key", str(len(key)).encode()))
        key = key[:KEY_BYTES]
    if value is not None and len(value) > room:
        headers.append(("truncated", str(len(value)).encode()))
        value = value[:room]
    return Record(topic=spec.rejected_topic, partition=None, key=key, value=value, headers=headers)


def _first_headers(headers: Headers) -> tuple[Headers, int]:
    """The first headers, up to HEADERS_BYTES; the size of all in bytes if that is not all of them, else 0."""
    kept: Headers = []
    size = 0
    for name, data in headers:
        size += HEADER_OVERHEAD + len(name.encode()) + len(data or b"")
        if size <= HEADERS_BYTES:
            kept.append((name, data))
    return kept, size if size > HEADERS_BYTES else 0


def _cut(reason: str) -> bytes:
    """The reason as UTF-8, cut between two characters."""
    return reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore").encode()


def from_arrow(batch: pa.RecordBatch) -> Iterator[Record]:
    """The records of a batch that was read or is to be written, one at a time."""
    columns = (batch.column(name) for name in ("partition", "key", "value", "headers"))
    for partition, key, value, headers, taken_at in zip(*columns, _taken_at(batch), strict=True):
        yield Record(
            topic="",
            partition=partition.as_py(),
            key=key.as_py(),
            value=value.as_py(),
            headers=[(header["key"], header["value"]) for header in headers.as_py() or ()],
            taken_at=taken_at,
        )


def _taken_at(batch: pa.RecordBatch) -> list[datetime | None]:
    """The time at which Kafka took each record; None where it is not known."""
    if TIMESTAMP_TYPE not in batch.schema.names:
        return [None] * batch.num_rows
    milliseconds = batch.column("timestamp").cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64()).to_pylist()
    kinds = batch.column(TIMESTAMP_TYPE).to_pylist()
    return [
        from_milliseconds(moment) if kind == LOG_APPEND_TIME else None
        for kind, moment in zip(kinds, milliseconds, strict=True)
    ]


def _places(batch: pa.RecordBatch) -> tuple[list[int], list[int]]:
    """The partition and the offset of each record of a batch."""
    return batch.column("partition").to_pylist(), batch.column("offset").to_pylist()


def to_arrow(records: list[Record]) -> pa.RecordBatch:
    """One Arrow batch of the records for the sink."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([record.topic for record in records], pa.string()),
            pa.array([record.partition for record in records], pa.int32()),
            pa.array([record.key for record in records], pa.binary()),
            pa.array([record.value for record in records], pa.binary()),
            pa.array(
                [[{"key": name, "value": data} for name, data in record.headers] for record in records],
                _ARROW_SCHEMA.field("headers").type,
            ),
        ],
        schema=_ARROW_SCHEMA,
    )
