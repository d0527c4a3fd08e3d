"""Each client of Elasticsearch may do what the table says, and nothing else; who has no certificate may do nothing."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import ssl
import urllib.error
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from elastic_transport import HttpxAsyncHttpNode
from elasticsearch import AsyncElasticsearch

from apps.indices import Search, retention, template
from apps.indices.documents import Documents, Record
from apps.indices.identities import Slot
from apps.indices.settings import RetentionSettings
from apps.messages import Result, result_to_json
from apps.messages.names import COMPARISON, FILEBEAT, RESULT_INDICES, audit_index, refused_index, results_index
from apps.ui.search import SearchParameters, build_choices, build_query
from components.pipeline import audit_log, elasticsearch
from components.pipeline.elasticsearch_grants import (
    AUDIT,
    BULK,
    BULK_GRANTS,
    CLIENTS,
    GRANTS,
    RETENTION,
    TEMPLATE,
    UI,
)
from components.pipeline.elasticsearch_identities import DIR
from components.pipeline.filebeat import SEARCH_TLS, filebeat_yml
from tests.e2e import knock
from tests.e2e.audited import differences
from tests.integration.indices.door import HOST, Door, door
from tests.integration.kafka.authority import Authority
from tests.integration.services import container, free_port, wait_for
from tests.integration.topics import make_frame, make_result

DAY = "2026.11.30"
RESULTS, REFUSED, AUDITED = results_index("objects", DAY), refused_index(DAY), audit_index(DAY)
MOMENT = datetime(2026, 11, 30, 8, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}

# Six minutes beside a busy lab: `make test-full`.
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("search")
    folder.chmod(0o755)
    return Authority(folder / "authority")


@pytest.fixture(scope="module")
def opened(elasticsearch: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(elasticsearch, tmp_path_factory.mktemp("door"), authority) as found:
        yield found


@pytest.fixture(autouse=True)
def _clean(elasticsearch: str) -> Iterator[None]:
    yield
    for pattern in ("results-*", "refused-*", "audit-*"):
        for row in httpx.get(f"{elasticsearch}/_cat/indices/{pattern}?format=json&h=index").json():
            httpx.delete(f"{elasticsearch}/{row['index']}").raise_for_status()


def named(pattern: str) -> str:
    """A path or index that the table's is for."""
    return pattern.replace("NAME", "objects").replace("DAY", DAY)


def asked(client: httpx.Client, method: str, path: str) -> httpx.Response:
    return client.request(method, path, headers=JSON, content=b"" if method == "GET" else b"{}\n")


def refused(answer: httpx.Response, client: str) -> bool:
    """Whether it was the proxy that refused the client, and says so."""
    if answer.status_code != 403:
        return False
    error = answer.json()["error"]
    return bool(error["type"] == "security_exception" and error["reason"].startswith(f"{client} may not "))


def result(sequence: int, model: str = "objects") -> Result:
    return make_result(make_frame("gate", sequence, MOMENT, b""), model)


def in_index(node: str, index: str) -> set[str]:
    """The names of the documents in an index."""
    httpx.post(f"{node}/{index}/_refresh", timeout=30)
    found = httpx.post(f"{node}/{index}/_search", json={"size": 1000, "_source": False}, timeout=30)
    return {hit["_id"] for hit in found.json()["hits"]["hits"]} if found.is_success else set()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_refused_whatever_the_table_has_for_others_alone(opened: Door, client: str) -> None:
    own = {(grant.method, grant.path) for grant in GRANTS if grant.client == client}
    others = {(grant.method, grant.path): grant for grant in GRANTS if (grant.method, grant.path) not in own}
    with opened.client(client) as asking:
        passed = [
            key for key, grant in others.items() if not refused(asked(asking, grant.method, named(grant.path)), client)
        ]
    assert others and not passed


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_through_with_all_that_the_table_has_for_it(opened: Door, client: str) -> None:
    with opened.client(client) as asking:
        denied = [
            grant
            for grant in GRANTS
            if grant.client == client
            if refused(asked(asking, grant.method, named(grant.path)), client)
        ]
    assert not denied


NOBODYS = (
    ("GET", "/_cluster/health"),
    ("GET", "/_cat/indices"),
    ("GET", "/_search"),
    ("POST", "/_search"),
    ("POST", "/_all/_search"),
    ("POST", "/results-*,audit-*/_search"),
    ("POST", "/audit-*/_search"),
    ("POST", "/%72esults-*/_search?scroll=%31"),
    ("POST", "//results-*/_search"),
    ("POST", "/results-*/_search/../../audit-*/_search"),
    ("POST", "/results-*/_search?index=audit-*"),
    ("POST", "/results-*/_search?ignore_unavailable=true;index=audit-*"),
    ("POST", "/results-*/_search?source=%7B%7D"),
    ("POST", "/results-*/_search/"),
    ("POST", "/results-*/_delete_by_query"),
    ("POST", "/_msearch"),
    ("POST", "/results-*/_msearch"),
    ("POST", "/_mget"),
    ("POST", "/_reindex"),
    ("POST", f"/{RESULTS}/_bulk"),
    ("POST", "/_bulk?index=audit"),
    ("POST", "/_bulk?pipeline=any"),
    ("POST", f"/{RESULTS}/_update/1"),
    ("PUT", f"/{RESULTS}/_doc/1"),
    ("PUT", "/_cluster/settings"),
    ("PUT", "/_index_template/other"),
    ("PUT", "/results-*/_settings"),
    ("DELETE", "/results-*"),
    ("DELETE", "/_all"),
    ("DELETE", f"/{RESULTS},{AUDITED}"),
    ("DELETE", "/_index_template/results"),
    ("HEAD", "/"),
)
"""Requests that the table does not have."""


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_may_do_what_the_table_does_not_have(opened: Door, client: str) -> None:
    # http.client sends a path as it is, where httpx would put it in order.
    connection = http.client.HTTPSConnection(HOST, opened.https, context=opened.context(client), timeout=60)
    answered = {}
    for method, path in NOBODYS:
        connection.request(method, path, body=b"{}\n", headers=JSON)
        answer = connection.getresponse()
        answer.read()
        answered[method, path] = answer.status
    assert answered == dict.fromkeys(NOBODYS, 403)


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"terms": {"camera.name": {"index": AUDITED, "id": "1", "path": "user"}}}},
        {"query": {"bool": {"filter": [{"more_like_this": {"like": [{"_index": AUDITED, "_id": "1"}]}}]}}},
        {"query": {"geo_shape": {"place": {"indexed_shape": {"id": "1"}}}}},
        {"pit": {"id": "any"}},
    ],
)
def test_a_search_reads_no_other_index_by_its_body(opened: Door, body: Any) -> None:
    with opened.client(UI) as asking:
        text = json.dumps(body)
        for sent in (text, text.replace('"index"', '"\\u0069ndex"')):
            assert refused(asking.post(f"/{RESULT_INDICES}/_search", content=sent, headers=JSON), UI)
        assert asking.post(f"/{RESULT_INDICES}/_search", content="{", headers=JSON).status_code == 403


def test_what_cannot_be_read_is_not_passed_on(opened: Door) -> None:
    line = json.dumps({"create": {"_index": AUDITED, "_id": "1"}}) + "\n{}\n"
    with opened.client(FILEBEAT) as asking:
        compressed = {**JSON, "Content-Encoding": "gzip"}
        assert asking.post(BULK, content=gzip.compress(line.encode()), headers=compressed).status_code == 415
        assert asking.post(BULK, content=line, headers={"Content-Type": "application/smile"}).status_code == 415
        assert asking.post(BULK, content=line).status_code == 415
        for text in ("no json\n", "1\n", "{}\n", '{"create": 1}\n', '{"do": {}}\n', line.splitlines()[0]):
            assert asking.post(BULK, content=text, headers=JSON).status_code == 400, text
    assert not in_index(opened.node, AUDITED)


def bulk(client: httpx.Client, *lines: Any) -> list[tuple[str, int]]:
    """The operation and status of each item of a bulk request of these lines."""
    body = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    answer = client.post(BULK, content=body, headers=JSON).raise_for_status().json()
    assert answer["errors"] == any(item["status"] >= 300 for each in answer["items"] for item in each.values())
    return [(word, item["status"]) for each in answer["items"] for word, item in each.items()]


@pytest.mark.parametrize("client", [FILEBEAT, AUDIT, COMPARISON])
def test_a_bulk_request_does_what_the_client_may(opened: Door, client: str) -> None:
    """What it may not do is answered like a document that an index refuses, and holds up no other."""
    granted = {(each.operation, named(each.index)) for each in BULK_GRANTS if each.client == client}
    own, *_ = (named(each.index) for each in BULK_GRANTS if each.client == client)
    indices = (RESULTS, REFUSED, AUDITED, "results-*", "other", "results-a_b-2026.11.30", "")
    tried = [(operation, index) for operation in ("create", "delete", "index", "update") for index in indices]
    lines: list[Any] = [{"create": {"_index": own, "_id": "before"}}, {}, ""]
    for operation, index in tried:
        lines.append({operation: {"_index": index, "_id": "1"}})
        # A document that looks like an action.
        lines += [] if operation == "delete" else [{"create": {"_index": AUDITED, "_id": "no action"}}]
    with opened.client(client) as asking:
        first, *found, last = bulk(asking, *lines, {"create": {"_index": own, "_id": "after"}}, {})
    assert first == last == ("create", 201)
    # What was created is deleted by the same request, where the client may.
    done = {"create": 201, "delete": 200}
    assert found == [(each[0], done[each[0]] if each in granted else 403) for each in tried]
    left = {"1"} if ("create", own) in granted and ("delete", own) not in granted else set()
    assert in_index(opened.node, own) == {"before", "after"} | left
    others = {RESULTS, REFUSED, AUDITED, "other"} - {index for _, index in granted}
    assert not any(in_index(opened.node, index) for index in others)


def test_an_action_that_says_more_than_index_and_name_is_refused(opened: Door) -> None:
    named = {"_index": RESULTS, "_id": "1"}
    with opened.client(FILEBEAT) as asking:
        for more in ({"routing": "a"}, {"pipeline": "a"}, {"require_alias": True}):
            assert bulk(asking, {"create": {**named, **more}}, {}) == [("create", 403)]
        assert bulk(asking, {"create": {"_id": "1"}}, {}) == [("create", 403)]
        assert bulk(asking, {"create": {"_index": RESULTS}}, {}) == [("create", 403)]
        # What Elasticsearch gets is what was judged.
        twice = f'{{"create": {{"_index": "{AUDITED}", "_index": "{RESULTS}", "_id": "1"}}}}'
        assert bulk(asking, twice, {}) == [("create", 201)]
    assert in_index(opened.node, RESULTS) == {"1"}
    assert not in_index(opened.node, AUDITED)


def test_documents_arrive_as_they_are(opened: Door) -> None:
    """Also those with numbers and signs that JavaScript would change, and many of them."""
    text = '{"a":-9223372036854775808,"b":1.10,"c":"\\u00fc\\ud83d\\ude00 ü","d":[]}'
    with opened.client(FILEBEAT) as asking:
        lines = [each for n in range(2000) for each in ({"create": {"_index": RESULTS, "_id": f"gate/{n}/ü"}}, text)]
        assert bulk(asking, *lines) == [("create", 201)] * 2000
    found = httpx.get(f"{opened.node}/{RESULTS}/_doc/gate%2F7%2F%C3%BC").json()
    assert found["_source"] == json.loads(text)


def test_a_request_that_is_too_large_is_refused(opened: Door) -> None:
    with opened.client(UI) as asking:
        path = f"/{RESULT_INDICES}/_search"
        assert asking.post(path, content=b" " * 1_100_000, headers=JSON).status_code == 413
        assert asking.post(path, headers={**JSON, "X-Long": "a" * 9_000}, content="{}").status_code == 400
    with opened.client(FILEBEAT) as asking:
        line = json.dumps({"create": {"_index": RESULTS, "_id": "large"}})
        assert bulk(asking, line, json.dumps({"message": "a" * 3_000_000})) == [("create", 201)]


def no_way_in(opened: Door, context: ssl.SSLContext) -> bool:
    """Whether nothing of Elasticsearch is shown to whoever connects so."""
    try:
        answer = httpx.get(f"{opened.url}/_license", verify=context, trust_env=False, timeout=30)
    except httpx.TransportError:
        return True
    return answer.status_code == 400 and "certificate" in answer.text.lower()


def trusting(opened: Door) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=opened.folder(FILEBEAT) / "ca.pem")


def test_only_a_certificate_of_its_own_authority_gets_in(opened: Door, tmp_path: Path) -> None:
    shown = opened.folder(FILEBEAT) / "tls.pem"
    right = trusting(opened)
    right.load_cert_chain(shown)
    assert not no_way_in(opened, right)
    assert no_way_in(opened, trusting(opened)), "no certificate"
    other = trusting(opened)
    other.load_cert_chain(Authority(tmp_path / "other").identity(FILEBEAT) / "tls.pem")
    assert no_way_in(opened, other), "the same name by another authority"
    old = trusting(opened)
    old.load_cert_chain(shown)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert no_way_in(opened, old), "TLS 1.2"
    plain = httpx.get(f"http://{HOST}:{opened.https}/_license", trust_env=False)
    assert plain.status_code == 400 and "license" not in plain.text, "in plain"
    assert knock.served(HOST, opened.https) == []


def test_a_name_that_the_table_lacks_may_do_nothing(opened: Door) -> None:
    for name in ("elasticsearch-nodes", "constructor", "__proto__", "stranger"):
        with opened.client(name) as asking:
            assert refused(asking.get("/"), name)


def test_probes_learn_whether_the_node_is_well_and_nothing_else(opened: Door) -> None:
    base = f"http://{HOST}:{opened.probes}"
    well = httpx.get(f"{base}/healthz", trust_env=False, timeout=60)
    assert (well.status_code, well.text) == (200, "well\n")
    alive = httpx.get(f"{base}/livez", trust_env=False, timeout=60)
    assert (alive.status_code, alive.text) == (200, "alive\n")
    assert httpx.post(f"{base}/healthz", trust_env=False, timeout=60).status_code == 403
    for path in ("/", "/_search", "/_cluster/health", "/-/health", "/-/alive", "/healthz/", "/healthz/../_cat/indices"):
        connection = http.client.HTTPConnection(HOST, opened.probes, timeout=60)
        connection.request("GET", path)
        assert connection.getresponse().status == 404, path


def test_without_its_node_a_proxy_is_not_well(authority: Authority, tmp_path: Path) -> None:
    with door(f"http://127.0.0.1:{free_port()}", tmp_path, authority, instance="alone") as alone:
        probed = httpx.get(f"http://{HOST}:{alone.probes}/healthz", trust_env=False, timeout=30)
        assert (probed.status_code, probed.text) == (503, "not well\n")
        lives = httpx.get(f"http://{HOST}:{alone.probes}/livez", trust_env=False, timeout=30)
        assert (lives.status_code, lives.text) == (503, "not alive\n")
        with alone.client(UI) as asking:
            assert asking.post(f"/{RESULT_INDICES}/_search", json={}).status_code == 502
        with alone.client(FILEBEAT) as asking:
            line = json.dumps({"create": {"_index": RESULTS, "_id": "1"}})
            assert asking.post(BULK, content=f"{line}\n{{}}\n", headers=JSON).status_code == 502


def test_the_template_is_installed(opened: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"results": elasticsearch.index_template(1), "audit": elasticsearch.audit_template(1)}
    files = [tmp_path / f"{name}.json" for name in made]
    for file, body in zip(files, made.values(), strict=True):
        file.write_text(json.dumps(body))
    monkeypatch.setattr("sys.argv", ["template", *map(str, files)])
    assert template.work(opened.settings(TEMPLATE)) == 0
    found = httpx.get(f"{opened.node}/_index_template").json()["index_templates"]
    assert {"results", "audit"} <= {each["name"] for each in found}
    assert template.work(opened.settings(UI)) == 1


def test_retention_deletes_what_is_old(opened: Door) -> None:
    old = ["results-objects-2020.01.01", "refused-2020.01.01", "audit-2020.01.01"]
    ahead = "results-objects-2099.01.01"
    for name in (*old, ahead):
        httpx.put(f"{opened.node}/{name}", json={}).raise_for_status()
    folder = opened.folder(RETENTION)
    given = {"elasticsearch_url": opened.url, "elasticsearch_tls_dir": folder}
    settings = RetentionSettings.model_validate({**given, "retention_days": 1, "audit_retention_days": 1})
    assert retention.work(settings) == 0
    left = {row["index"] for row in httpx.get(f"{opened.node}/_cat/indices/*?format=json&h=index").json()}
    assert ahead in left and not left & set(old)
    assert retention.found_ahead_on(Search.of(settings), ahead, date(2099, 1, 1)) <= date.today()


def test_the_comparison_reads_and_completes_the_index(opened: Door) -> None:
    documents = Documents(Search.of(opened.settings(COMPARISON)))
    records = [Record.of(result_to_json(result(number))) for number in range(3)]
    hour = f"{MOMENT:%Y-%m-%dT%H}"
    slot = Slot(hour, "gate", "objects")
    assert documents.send(records[:1]) == [None]
    assert documents.set_aside({record: "a reason" for record in records[1:]}, MOMENT) == [None, None]
    documents.refresh()
    assert documents.indexed([hour]).of(slot) == {0}
    assert documents.refused().of(slot) == {1, 2}
    reasons, oldest = documents.why_refused()
    assert (reasons, oldest) == ({"a reason": 2}, MOMENT)
    assert documents.send_refused() == 2
    documents.refresh()
    assert documents.indexed([hour]).of(slot) == {0, 1, 2}
    assert not documents.refused().of(slot)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        Documents(Search.of(opened.settings(UI))).refresh()


def test_the_page_searches(opened: Door) -> None:
    Documents(Search(opened.node)).send([Record.of(result_to_json(result(7)))])
    httpx.post(f"{opened.node}/{RESULT_INDICES}/_refresh").raise_for_status()

    async def search(body: Mapping[str, Any]) -> Any:
        """As apps/ui does."""
        settings = opened.settings(UI)
        client = AsyncElasticsearch(
            settings.elasticsearch_url, node_class=HttpxAsyncHttpNode, ssl_context=settings.elasticsearch_context
        )
        try:
            return await client.search(index=RESULT_INDICES, **body)
        finally:
            await client.close()

    found = asyncio.run(search(build_query(SearchParameters(camera="gate"), ["*"])))
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [result(7).id]
    assert asyncio.run(search(build_choices(["*"])))["aggregations"]


def ship(opened: Door, identity: str, config: dict[str, Any], lines: Path, instance: str) -> Any:
    """Filebeat with this output, which reads these lines."""
    config["filebeat.inputs"] = [
        {
            "type": "filestream",
            "id": "lines",
            "paths": ["/lines/*.json"],
            "prospector.scanner.fingerprint.enabled": False,
            "file_identity.native": None,
        }
    ]
    config["path.data"] = "/tmp"
    config.pop("http", None)
    return container(
        "filebeat",
        files={"/etc/argus/filebeat.yml": json.dumps(config)},
        command=["-e", "--strict.perms=false", "-c", "/etc/argus/filebeat.yml"],
        environment={"NODE_NAME": "cp1"},
        ready=lambda: True,
        folders={DIR: opened.folder(identity), "/lines": lines},
        instance=instance,
    )


def test_filebeat_ships_results_and_goes_on_after_one_that_it_may_not_write(opened: Door, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    models = ("objects", "a_model_of_no_such_name", "objects")
    lines = [result_to_json(result(number, model)).decode() for number, model in enumerate(models)]
    (tmp_path / "lines.json").write_text("".join(f"{line}\n" for line in lines))
    config = json.loads(filebeat_yml("nowhere:1", opened.url, [], search_tls=SEARCH_TLS))
    with ship(opened, FILEBEAT, config, tmp_path, "results"):
        wanted = {"gate/0/objects", "gate/2/objects"}
        wait_for("results", lambda: in_index(opened.node, RESULT_INDICES) == wanted, seconds=120, every=1)


def audited(number: int) -> dict[str, Any]:
    """A line of the audit log, with what an API server writes."""
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": str(number),
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/argus/secrets?fieldManager=a%20<b>",
        "verb": "create",
        "user": {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]},
        "sourceIPs": ["192.0.2.1"],
        "objectRef": {"resource": "secrets", "namespace": "argus", "name": "audited", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": f"2026-11-30T08:00:00.00000{number}Z",
        "stageTimestamp": "2026-11-30T08:00:00.123456Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }


def test_filebeat_ships_the_audit_log_and_each_line_once_whoever_reads_it_again(opened: Door, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lines: dict[str, Any] = {}

    def shipped(number: int) -> None:
        """Write a line, and ship all by a Filebeat that remembers nothing."""
        lines[f"{number}/ResponseComplete"] = audited(number)
        (tmp_path / "lines.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines.values()))
        config = json.loads(audit_log.filebeat_yml(opened.url, SEARCH_TLS))
        with ship(opened, AUDIT, config, tmp_path, f"audit-{number}"):
            wait_for("the lines", lambda: in_index(opened.node, AUDITED) == lines.keys(), seconds=120, every=1)

    shipped(1)
    shipped(2)
    found = httpx.post(f"{opened.node}/audit-*/_search", json={"version": True}, timeout=30).json()["hits"]["hits"]
    assert differences(lines, found) is None
    assert {each["_version"] for each in found} == {1}, "none was written again"
