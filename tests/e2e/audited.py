"""The audit log as control planes keep it and as the index has it, line by line."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.messages import format_timestamp
from apps.messages.names import AUDIT_INDICES, audit_index
from components.cluster.kubeadm import AUDIT_LOGS
from components.pipeline import audit_log
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.machines import CONTROL_PLANES, on

_PAGE = 1000
_PLACE = "kubernetes.audit"

Line = Mapping[str, Any]
"""A line of the audit log."""
Document = Mapping[str, Any]
"""A hit of a search: `_id`, `_index` and `_source`."""


def logged(name: str) -> dict[str, Line]:
    """The lines of all control planes about the object of this name, by their identities."""
    grep = f"grep -h {name} {AUDIT_LOGS}/audit*.log || true"
    return about(name, (line for machine in CONTROL_PLANES for line in on(machine, grep)))


def about(name: str, lines: Iterable[str]) -> dict[str, Line]:
    """The lines about the object of this name, by their identities. One that is being written is none yet."""
    found: dict[str, Line] = {}
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("objectRef", {}).get("name") == name:
            found[identity(line)] = line
    return found


def identity(line: Line) -> str:
    """What tells a line from all others, and is its document's name."""
    return f"{line['auditID']}/{line['stage']}"


def indexed(cluster: ClusterClient, name: str) -> list[Document]:
    """The documents about the object of this name. Raises httpx.HTTPError."""
    return list(_documents(cluster, {"term": {f"{_PLACE}.objectRef.name": name}}))


def indexed_since(cluster: ClusterClient, moment: datetime) -> list[Document]:
    """The documents of requests since then. Raises httpx.HTTPError."""
    return list(_documents(cluster, {"range": {"@timestamp": {"gte": format_timestamp(moment)}}}))


def differences(lines: Mapping[str, Line], documents: Iterable[Document]) -> str | None:
    """What the index has otherwise than the log, or None: each line is there once, whole, in the index of its day."""
    documents = list(documents)
    times = Counter(identity(_line(each)) for each in documents)
    wrong = [
        *(f"{each} is in the index {times[each]} times: {_shown(lines[each])}" for each in lines if times[each] != 1),
        *(f"{each} is in the index, and in no log" for each in times.keys() - lines.keys()),
    ]
    for document in documents:
        line, name = _line(document), document["_id"]
        if name != identity(line):
            wrong.append(f"{identity(line)} is named {name}")
        if line != lines.get(identity(line), line):
            wrong.append(f"{name} is another line than in the log: {_shown(line)}")
        day = audit_index(line["requestReceivedTimestamp"][:10].replace("-", "."))
        if document["_index"] != day:
            wrong.append(f"{name} is in {document['_index']}, and not in {day}")
    return "; ".join(wrong) or None


def telling(word: str, documents: Iterable[Document]) -> list[str]:
    """The names of the documents that have a word, as it is or as Secrets keep it (Base64)."""
    kept = base64.b64encode(word.encode()).decode()
    return [each["_id"] for each in documents if any(form in json.dumps(each) for form in (word, kept))]


def remains(cluster: ClusterClient) -> list[str]:
    """What is left in the cluster of what sends the audit log. Raises httpx.HTTPError."""
    namespaces = {each["metadata"]["name"] for each in cluster.get("/api/v1/namespaces")["items"]}
    config = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/elasticsearch")["data"]["elasticsearch.yml"]
    policies = cluster.get(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies")["items"]
    return [
        *(["the namespace"] if audit_log.NAMESPACE in namespaces else []),
        *(["Elasticsearch makes its indices"] if AUDIT_INDICES in config else []),
        *(
            f"the network policy {each['metadata']['name']}"
            for each in policies
            if audit_log.NAMESPACE in json.dumps(each["spec"])
        ),
    ]


def forget(cluster: ClusterClient) -> list[str]:
    """Delete the indices of the audit log, and their template; the names of the indices. Raises httpx.HTTPError.

    Argus keeps both when the audit log is sent no longer: the indices for as long as `retentionDays` says.
    """
    found = [row["index"] for row in cluster.search_get(f"/_cat/indices/{AUDIT_INDICES}?format=json&h=index")]
    for path in (*found, "_index_template/audit"):
        cluster.change_search("DELETE", f"/{path}")
    return found


def _documents(cluster: ClusterClient, query: Mapping[str, Any]) -> Iterator[Document]:
    order = ("@timestamp", f"{_PLACE}.auditID", f"{_PLACE}.stage")
    body: dict[str, Any] = {"size": _PAGE, "query": query, "sort": [{each: "asc"} for each in order]}
    while True:
        hits = cluster.search(f"/{AUDIT_INDICES}/_search", body).json()["hits"]["hits"]
        yield from hits
        if len(hits) < _PAGE:
            return
        body["search_after"] = hits[-1]["sort"]


def _line(document: Document) -> Line:
    """What a document has of its line: all of it."""
    line: Line = document["_source"]["kubernetes"]["audit"]
    return line


def _shown(line: Line) -> str:
    """A line for a message."""
    return f"{line.get('verb')} {line.get('requestURI')} at {line.get('requestReceivedTimestamp')}"
