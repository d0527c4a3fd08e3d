"""The results in Elasticsearch: which are there, sending more, and setting aside those that their index refuses."""

import contextlib
import json
import logging
import re
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Self, TypeVar

from apps.indices import Search
from apps.indices.identities import Identities, Slot
from apps.messages import Result, format_timestamp, result_from_json
from apps.messages.names import NAME_PATTERN, REFUSED_INDICES, RESULT_INDICES, refused_index, results_index

PAGE = 10_000
"""The most documents in one answer: Elasticsearch's own limit."""

CHUNK = 500
CHUNK_BYTES = 5_000_000
LONGEST_REASON = 300

Thing = TypeVar("Thing")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """A result, and the record by which it is sent: its JSON in one line."""

    result: Result
    line: str

    @classmethod
    def of(cls, value: bytes) -> Self:
        """The record of a value in Kafka or on disk. Raises one of UNREADABLE if it is no result."""
        result = result_from_json(value)
        # A line feed between its parts would end the document in a bulk request.
        return cls(result=result, line=json.dumps(json.loads(value), separators=(",", ":")))

    @property
    def index(self) -> str:
        """The index of the result: the one that Filebeat chooses, by the day of the frame."""
        return results_index(self.result.model, f"{self.result.captured_at.astimezone(UTC):%Y.%m.%d}")


class Documents:
    """The indices of one Elasticsearch. Every method raises OSError or ValueError if Elasticsearch does not answer."""

    def __init__(self, search: Search) -> None:
        self._elasticsearch = search

    def refresh(self) -> None:
        """Make everything that was indexed until now visible to searches."""
        self._elasticsearch.ask("POST", f"/{RESULT_INDICES},{REFUSED_INDICES}/_refresh")

    def indexed(self, hours: Iterable[str]) -> Identities:
        """The results of these hours in the index."""
        found = Identities()
        for hour in sorted(hours):
            begin = datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
            bounds = {"gte": format_timestamp(begin), "lt": format_timestamp(begin + timedelta(hours=1))}
            asked = {"query": {"range": {"@timestamp": bounds}}}
            for _, camera, sequence, model in self._listed(RESULT_INDICES, asked):
                found.add(Slot(hour, camera, model), sequence)
        return found

    def refused(self) -> Identities:
        """The results that are set aside."""
        found = Identities()
        asked = {"docvalue_fields": [{"field": "@timestamp", "format": "yyyy-MM-dd'T'HH"}]}
        for hit, camera, sequence, model in self._listed(REFUSED_INDICES, asked):
            found.add(Slot(hit["fields"]["@timestamp"][0], camera, model), sequence)
        return found

    def send(self, records: Sequence[Record]) -> list[str | None]:
        """Index the records. For each the reason why it was refused; None where it is in the index now."""
        return self._bulk([({"create": _target(record.index, record)}, record.line) for record in records])

    def set_aside(self, refused: Mapping[Record, str], now: datetime) -> list[str | None]:
        """Keep refused records with their reasons. For each the reason why this was refused too; None: it is kept."""
        if not refused:
            return []
        index = refused_index(f"{now:%Y.%m.%d}")
        self._make(index)
        return self._bulk(
            [
                ({"create": _target(index, record)}, json.dumps(_set_aside(record, reason, now)))
                for record, reason in refused.items()
            ]
        )

    def send_refused(self) -> int:
        """Send what is set aside again, and forget what its index accepts. Returns how many those were.

        Where an index accepts none of 500, the others of that index are left for the next time. They are drawn, so
        that those that are always refused do not hide the others.
        """
        return sum(self._send_refused_of(index) for index in self._refusing())

    def why_refused(self) -> tuple[Counter[str], datetime | None]:
        """How many results are set aside for each reason, at most 10 reasons; and the time of the oldest."""
        answer = self._search(
            REFUSED_INDICES,
            {
                "size": 0,
                "aggs": {
                    "reasons": {"terms": {"field": "refused.reason", "size": 10}},
                    "oldest": {"min": {"field": "@timestamp"}},
                },
            },
        )
        found = answer.get("aggregations", {})
        reasons = Counter(
            {bucket["key"]: bucket["doc_count"] for bucket in found.get("reasons", {}).get("buckets", ())}
        )
        oldest = found.get("oldest", {}).get("value")
        return reasons, None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC)

    def _listed(self, indices: str, body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, int, str]]:
        """Each document with the camera, sequence and model in its name; others are left out.

        By its name, and in no order, so that an index with any mapping can be read.
        """
        body = {"size": PAGE, "_source": False, "sort": ["_doc"], **body}
        keep, only = "2m", "filter_path=_scroll_id,hits.hits._id,hits.hits.fields"
        answer = self._search(indices, body, f"scroll={keep}&{only}")
        scroll = answer.get("_scroll_id")
        try:
            while hits := answer.get("hits", {}).get("hits"):
                for hit in hits:
                    if found := _NAME.fullmatch(hit["_id"]):
                        yield hit, found["camera"], int(found["sequence"]), found["model"]
                scroll = answer["_scroll_id"]
                following = json.dumps({"scroll": keep, "scroll_id": scroll}).encode()
                answer = self._elasticsearch.ask("POST", f"/_search/scroll?{only}", following)
        finally:
            with contextlib.suppress(OSError, ValueError):
                closed = json.dumps({"scroll_id": [scroll]}).encode()
                self._elasticsearch.ask("DELETE", "/_search/scroll", closed)

    def _refusing(self) -> list[str]:
        """The indices whose results are set aside."""
        asked = {"size": 0, "aggs": {"indices": {"terms": {"field": "refused.index", "size": PAGE}}}}
        found = self._search(REFUSED_INDICES, asked).get("aggregations", {})
        return [bucket["key"] for bucket in found.get("indices", {}).get("buckets", ())]

    def _send_refused_of(self, index: str) -> int:
        drawn = {
            "size": CHUNK,
            "query": {
                "function_score": {
                    "query": {"bool": {"filter": [{"term": {"refused.index": index}}]}},
                    "random_score": {},
                    "boost_mode": "replace",
                }
            },
        }
        sent = 0
        while hits := self._search(REFUSED_INDICES, drawn)["hits"]["hits"]:
            accepted = [
                hit
                for some in _chunks(hits, lambda hit: len(hit["_source"]["record"]))
                for hit, reason in zip(some, self._send_again(some), strict=True)
                if reason is None
            ]
            if not accepted:
                break
            self._bulk([({"delete": {"_index": hit["_index"], "_id": hit["_id"]}}, None) for hit in accepted])
            self.refresh()
            sent += len(accepted)
        return sent

    def _send_again(self, hits: Sequence[dict[str, Any]]) -> list[str | None]:
        return self.send([Record.of(hit["_source"]["record"].encode()) for hit in hits])

    def _search(self, indices: str, body: dict[str, Any], parameters: str = "") -> Any:
        # A part of the index that cannot be searched must not look as if its results were missing.
        path = f"/{indices}/_search?allow_partial_search_results=false&ignore_unavailable=true&{parameters}"
        return self._elasticsearch.ask("POST", path.rstrip("&"), json.dumps(body).encode())

    def _make(self, index: str) -> None:
        try:
            self._elasticsearch.ask("PUT", f"/{index}", json.dumps(_REFUSED_SETTINGS).encode())
        except urllib.error.HTTPError as refused:
            answer = refused.read()
            if refused.code != HTTPStatus.BAD_REQUEST or b"resource_already_exists" not in answer:
                # The bulk request says for each record why it is not kept.
                logger.warning("could not make %s: %s", index, answer.decode(errors="replace")[:LONGEST_REASON])

    def _bulk(self, actions: Sequence[tuple[dict[str, Any], str | None]]) -> list[str | None]:
        if not actions:
            return []
        lines = [part for action, line in actions for part in (json.dumps(action), line) if part is not None]
        try:
            answer = self._elasticsearch.ask("POST", "/_bulk?timeout=10s", ("\n".join(lines) + "\n").encode())
        except urllib.error.HTTPError as refused:
            return [_reason(refused.code, _error_in(refused.read()))] * len(actions)
        return [_refusal(next(iter(item.values()))) for item in answer["items"]]


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records in parts that one bulk request takes."""
    return _chunks(records, lambda record: len(record.line))


def _chunks(things: Iterable[Thing], size_of: Callable[[Thing], int]) -> Iterator[list[Thing]]:
    chunk: list[Thing] = []
    size = 0
    for thing in things:
        if chunk and (len(chunk) == CHUNK or size + size_of(thing) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(thing)
        size += size_of(thing)
    if chunk:
        yield chunk


def _target(index: str, record: Record) -> dict[str, str]:
    return {"_index": index, "_id": record.result.id}


def _refusal(item: dict[str, Any]) -> str | None:
    """Why an action failed; None where it is done: also where the result was there already, or is gone already."""
    status, error = int(item["status"]), item.get("error")
    if error is None or status == HTTPStatus.CONFLICT:
        return None
    return _reason(status, error)


def _error_in(answer: bytes) -> dict[str, Any]:
    """The error in the answer to a whole request, which a proxy may have given in a form of its own."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if isinstance(error := json.loads(answer)["error"], dict):
            return error
    return {"reason": answer.decode(errors="replace")}


def _reason(status: int, error: dict[str, Any]) -> str:
    cause = error.get("caused_by") or {}
    said = ": ".join(
        str(part) for part in (status, error.get("type"), error.get("reason"), cause.get("reason")) if part
    )
    return _OF_ONE_DOCUMENT.sub("", said)[:LONGEST_REASON]


def _set_aside(record: Record, reason: str, now: datetime) -> dict[str, Any]:
    result = record.result
    return {
        "@timestamp": format_timestamp(result.captured_at),
        "event": {"id": result.id},
        "camera": {"name": result.camera},
        "frame": {"sequence": result.sequence},
        "model": {"name": result.model},
        "refused": {"index": record.index, "at": format_timestamp(now), "reason": reason},
        # As text, so that nothing in it can be refused here too.
        "record": record.line,
    }


_NAME = re.compile(rf"(?P<camera>{NAME_PATTERN})/(?P<sequence>[0-9]{{1,19}})/(?P<model>{NAME_PATTERN})")

_OF_ONE_DOCUMENT = re.compile(
    r"\[\d+:\d+\] | at \d+:\d+\b| (in|of) document with id '[^']*'|\. Preview of field's value: '[^']*'"
)
"""What makes the same reason differ from document to document, so that it could not be counted."""

_KEYWORD = {"type": "keyword"}
_REFUSED_SETTINGS = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            "@timestamp": {"type": "date"},
            "event": {"properties": {"id": _KEYWORD}},
            "camera": {"properties": {"name": _KEYWORD}},
            "frame": {"properties": {"sequence": {"type": "long"}}},
            "model": {"properties": {"name": _KEYWORD}},
            "refused": {"properties": {"index": _KEYWORD, "at": {"type": "date"}, "reason": _KEYWORD}},
        },
    },
}
"""How refused results are kept: found by name, time and reason; the record is kept and not indexed."""
