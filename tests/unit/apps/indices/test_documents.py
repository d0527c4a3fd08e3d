"""How results are sent to an index, and how its answers are read."""

import io
import json
import urllib.error
from email.message import Message
from typing import Any

import pytest

from apps import indices
from apps.indices import Search
from apps.indices.documents import CHUNK, CHUNK_BYTES, Documents, Record, chunks
from apps.messages import result_to_json
from tests.unit.apps.indices.test_compare import result


def record(sequence: int) -> Record:
    return Record.of(result_to_json(result(sequence)))


def answering(monkeypatch: pytest.MonkeyPatch, *items: dict[str, Any]) -> list[bytes]:
    sent: list[bytes] = []

    def ask(method: str, url: str, body: bytes | None = None, **_: Any) -> Any:
        sent.append(body or b"")
        return {"items": [{"create": item} for item in items]}

    monkeypatch.setattr(indices, "ask", ask)
    return sent


def test_a_result_goes_to_the_index_of_its_day_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = answering(monkeypatch, {"status": 201})
    assert Documents(Search("http://search:9200")).send([record(7)]) == [None]
    action, line = sent[0].splitlines()
    assert json.loads(action) == {"create": {"_index": "results-objects-2026.11.23", "_id": "gate/7/objects"}}
    assert json.loads(line) == json.loads(result_to_json(result(7)))


def test_a_record_in_several_lines_is_sent_in_one() -> None:
    spread = json.dumps(json.loads(result_to_json(result(1))), indent=2).encode()
    assert "\n" not in Record.of(spread).line


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"status": 200}, None),
        ({"status": 409, "error": {"type": "version_conflict_engine_exception"}}, None),
        ({"status": 404, "result": "not_found"}, None),
        ({"status": 404, "error": {"type": "index_not_found_exception"}}, "404: index_not_found_exception"),
        (
            {
                "status": 400,
                "error": {
                    "type": "document_parsing_exception",
                    "reason": "[1:55] failed to parse field [camera] of type [keyword] in document with id "
                    "'gate/7/odd'. Preview of field's value: '{name=gate}'",
                    "caused_by": {"reason": "Can't get text on a START_OBJECT at 1:41"},
                },
            },
            "400: document_parsing_exception: failed to parse field [camera] of type [keyword]: "
            "Can't get text on a START_OBJECT",
        ),
    ],
)
def test_a_reason_is_the_same_for_all_documents(
    item: dict[str, Any], reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, item)
    assert Documents(Search("http://search:9200")).send([record(7)]) == [reason]


CLUSTER = "blocked by: [FORBIDDEN/6/cluster read-only (api)];"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            json.dumps({"error": {"type": "cluster_block_exception", "reason": CLUSTER}}),
            f"403: cluster_block_exception: {CLUSTER}",
        ),
        ('{"error": "no"}', '403: {"error": "no"}'),
        ("<html>a proxy's page</html>", "403: <html>a proxy's page</html>"),
    ],
)
def test_a_request_that_is_refused_as_a_whole_refuses_each_of_its_records(
    answer: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(method: str, url: str, body: bytes | None = None, **_: Any) -> Any:
        raise urllib.error.HTTPError(url, 403, "Forbidden", Message(), io.BytesIO(answer.encode()))

    monkeypatch.setattr(indices, "ask", ask)
    assert Documents(Search("http://search:9200")).send([record(1), record(2)]) == [reason] * 2


def test_chunks_are_bounded_in_number_and_in_bytes() -> None:
    assert [len(chunk) for chunk in chunks(record(n) for n in range(CHUNK + 1))] == [CHUNK, 1]
    large = Record(result=result(1), line="x" * (CHUNK_BYTES // 2 + 1))
    assert [len(chunk) for chunk in chunks([large] * 3)] == [1, 1, 1]
    assert list(chunks([])) == []
