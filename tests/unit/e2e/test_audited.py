"""What a test finds wrong in the index's audit log, and what it must not."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from components.config.sections import Elasticsearch
from components.pipeline.elasticsearch import audit_template, elasticsearch_yml
from tests.e2e import audited
from tests.e2e.audited import about, differences, forget, identity, indexed_since, remains, telling
from tests.e2e.cluster import ClusterClient

NAME = "audited-1"
MOMENT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


def line(audit: str = "a1", name: str = NAME, **changes: Any) -> dict[str, Any]:
    return {
        "auditID": audit,
        "stage": "ResponseComplete",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/argus/secrets",
        "objectRef": {"resource": "secrets", "name": name},
        "requestReceivedTimestamp": "2026-11-30T23:59:59.999999Z",
        **changes,
    }


def document(of: Mapping[str, Any], index: str = "audit-2026.11.30", name: str = "") -> dict[str, Any]:
    source = {"host": {"name": "cp1"}, "kubernetes": {"audit": dict(of)}}
    return {"_id": name or identity(of), "_index": index, "_source": source}


def of(*lines: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {identity(each): each for each in lines}


def test_lines_of_others_and_those_that_are_being_written_are_left_out() -> None:
    read, made = line("a2", verb="get"), line()
    texts = [json.dumps(each) for each in (made, line("a3", f"{NAME}0"), {"auditID": "a4"}, read)]
    assert about(NAME, [*texts, json.dumps(line("a5"))[:-9]]) == of(made, read)


def test_each_line_once_in_the_index_of_its_day_is_right() -> None:
    made, late = line(), line("a2", requestReceivedTimestamp="2026-12-01T00:00:00.000001Z")
    documents = [document(late, "audit-2026.12.01"), document(made)]
    assert differences(of(made, late), documents) is None
    assert differences({}, []) is None


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "a1/ResponseComplete is in the index 0 times: create /api/v1/namespaces/argus/secrets at 2026-11-30T"),
        ([document(line()), document(line(), "audit-2026.12.01")], "a1/ResponseComplete is in the index 2 times"),
        ([document(line()), document(line(), name="x")], "a1/ResponseComplete is in the index 2 times"),
        ([document(line()), document(line("a9"))], "a9/ResponseComplete is in the index, and in no log"),
        ([document(line(), name="x")], "a1/ResponseComplete is named x"),
        ([document(line(verb="get"))], "a1/ResponseComplete is another line than in the log: get"),
        ([document(line(), "audit-2026.12.01")], "is in audit-2026.12.01, and not in audit-2026.11.30"),
    ],
)
def test_everything_else_is_said(documents: list[dict[str, Any]], said: str) -> None:
    assert said in (differences(of(line()), documents) or "")


@pytest.mark.parametrize("form", ["hush", base64.b64encode(b"hush").decode()])
def test_a_word_is_found_wherever_and_however_it_stands(form: str) -> None:
    tells = document(line("a2", requestObject={"data": {"word": f"[{form}]"}}))
    assert telling("hush", [document(line()), tells]) == ["a2/ResponseComplete"]


class Search:
    """An index that answers page by page, and the API server's lists."""

    def __init__(self, documents: list[dict[str, Any]], lists: Mapping[str, Any] | None = None) -> None:
        self._documents, self._lists = documents, lists or {}
        self.asked: list[Any] = []

    def search(self, path: str, body: Mapping[str, Any]) -> Any:
        assert path == "/audit-*/_search"
        self.asked.append(json.loads(json.dumps(body)))
        begin = 1 + body["search_after"][0] if "search_after" in body else 0
        hits = [{**self._documents[n], "sort": [n]} for n in range(begin, len(self._documents))][: body["size"]]
        return SimpleNamespace(json=lambda: {"hits": {"hits": hits}})

    def search_get(self, path: str) -> Any:
        assert path.startswith("/_cat/indices/audit-*?")
        return [{"index": each["_index"]} for each in self._documents]

    def change_search(self, method: str, path: str) -> None:
        self.asked.append((method, path))

    def get(self, path: str) -> Any:
        return self._lists[path.rpartition("/")[2]]


def client(search: Search) -> ClusterClient:
    return cast(ClusterClient, search)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_all_pages_are_read(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(audited, "_PAGE", 2)
    search = Search([document(line(f"a{n}")) for n in range(number)])
    found = indexed_since(client(search), MOMENT)
    assert [each["_id"] for each in found] == [f"a{n}/ResponseComplete" for n in range(number)]
    query = search.asked[0]["query"]
    assert query == {"range": {"@timestamp": {"gte": "2026-11-30T23:59:00.000Z"}}}


def test_what_is_asked_for_is_in_the_mapping() -> None:
    search = Search([])
    assert audited.indexed(client(search), NAME) == []
    properties = audit_template(1)["template"]["mappings"]["properties"]
    (term,) = search.asked[0]["query"]["term"]
    for name in (term, *(key for each in search.asked[0]["sort"] for key in each)):
        found: Any = {"properties": properties}
        for part in name.split("."):
            found = found["properties"][part]
        assert found["type"] in ("keyword", "date"), name


def lists(*, audit: bool) -> dict[str, Any]:
    config = elasticsearch_yml("argus", Elasticsearch(volumeGiB=4), audit=audit)
    peers = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "argus-audit"}}} if audit else {}
    names = ["argus", "kube-system", *(["argus-audit"] if audit else [])]
    return {
        "namespaces": {"items": [{"metadata": {"name": name}} for name in names]},
        "elasticsearch": {"data": {"elasticsearch.yml": config}},
        "networkpolicies": {
            "items": [{"metadata": {"name": "elasticsearch"}, "spec": {"ingress": [{"from": [peers]}]}}]
        },
    }


def test_what_is_left_of_it_is_named() -> None:
    assert remains(client(Search([], lists(audit=False)))) == []
    assert remains(client(Search([], lists(audit=True)))) == [
        "the namespace",
        "Elasticsearch makes its indices",
        "the network policy elasticsearch",
    ]


def test_its_indices_alone_are_deleted() -> None:
    search = Search([document(line()), document(line(), "audit-2026.12.01")])
    assert forget(client(search)) == ["audit-2026.11.30", "audit-2026.12.01"]
    assert search.asked == [
        ("DELETE", "/audit-2026.11.30"),
        ("DELETE", "/audit-2026.12.01"),
        ("DELETE", "/_index_template/audit"),
    ]
