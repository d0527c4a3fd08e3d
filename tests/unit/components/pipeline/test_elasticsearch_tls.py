"""Who may do what in Elasticsearch, and by which certificates nodes and clients know each other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from apps.messages.names import RESULT_INDICES
from components.config import sections
from components.config.sections import SEARCH_TRANSPORTS
from components.pipeline import audit_log, elasticsearch, flows
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.elasticsearch_grants import (
    BULK,
    BULK_GRANTS,
    CLIENTS,
    GRANTS,
    RESULTS,
    RETENTION,
    SEARCH,
    TEMPLATE,
    UI,
    grants_file,
    pattern,
)
from components.pipeline.elasticsearch_identities import DIR, NODES, secret_of
from components.pipeline.filebeat import SEARCH_TLS, filebeat_yml
from components.pipeline.network_policies import flows as connections
from components.pipeline.stages import STAGES
from components.pipeline.vertical import targets
from tests.unit.components.pipeline.conftest import Build, settings

PODS: Mapping[str, str] = {
    "filebeat": "Deployment/filebeat",
    "ui": "Deployment/ui",
    "comparison": "CronJob/comparison",
    RETENTION: f"CronJob/{RETENTION}",
}
"""The workload of each client that has one of this name."""


@pytest.mark.parametrize("transport", SEARCH_TRANSPORTS)
def test_who_may_connect_is_in_both_tables_or_in_none(transport: sections.SearchTransport) -> None:
    found = {
        flow.client: flow.ports
        for flow in connections(["objects"], "plain", "plain", transport, [9300])
        if flow.server == "elasticsearch" and flow.client != "elasticsearch"
    }
    assert found.keys() == set(CLIENTS)
    expected = {"plain": {9200}, "both": {9200, 9243}, "tls": {9243}}[transport]
    assert all(set(ports) == expected for ports in found.values())


@pytest.mark.parametrize("name", ["results-objects-2026.11.30", "results-a-b-2026.11.30"])
def test_an_index_is_of_a_model_and_a_day(name: str) -> None:
    assert re.fullmatch(pattern(RESULTS), name)


@pytest.mark.parametrize(
    "name",
    [
        "results-*",
        "results-objects-*",
        "results-objects-2026.11.30,audit-2026.11.30",
        "results-objects-2026.11.30/_search",
        "audit-2026.11.30",
        "results-objects-2026x11.30",
        "results-objects-2026.11.30\n",
        "<results-objects-{now/d}>",
        "",
    ],
)
def test_nothing_else_is_one(name: str) -> None:
    assert not re.fullmatch(pattern(RESULTS), name)


def test_a_path_with_signs_of_regular_expressions_stands_for_itself() -> None:
    assert re.fullmatch(pattern(f"/{RESULT_INDICES}{SEARCH}"), "/results-*/_search")
    assert not re.fullmatch(pattern(f"/{RESULT_INDICES}{SEARCH}"), "/results---/_search")


def test_only_retention_deletes_indices_and_nobody_changes_a_result() -> None:
    assert {grant.client for grant in GRANTS if grant.method == "DELETE" and "_search" not in grant.path} == {RETENTION}
    assert {each.operation for each in BULK_GRANTS if each.index == RESULTS} == {"create"}
    assert [grant.path for grant in GRANTS if grant.client == UI] == [f"/{RESULT_INDICES}{SEARCH}"]
    assert not any(path in grant.path for grant in GRANTS for path in ("_msearch", "_mget", "_reindex", "_all", "_sql"))
    # Only these are judged by their bodies, so nobody has another path of them.
    assert {grant.path for grant in GRANTS if "_bulk" in grant.path} == {BULK}


def test_the_proxy_reads_the_whole_table() -> None:
    table = json.loads(grants_file())
    assert sum(len(client["requests"]) for client in table.values()) == len(GRANTS)
    assert sum(len(each) for client in table.values() for each in client["bulk"].values()) == len(BULK_GRANTS)


def test_the_page_of_flows_says_what_each_client_may_do() -> None:
    text = flows.page()
    for client in CLIENTS:
        assert f"| {client} | " in text.partition("in Elasticsearch\n")[2]


@pytest.mark.parametrize("transport", SEARCH_TRANSPORTS)
def test_with_tls_alone_a_node_answers_in_plain_only_in_its_pod(transport: sections.SearchTransport) -> None:
    text = elasticsearch.elasticsearch_yml("argus", sections.Elasticsearch(transport=transport))
    assert ('http.host: "127.0.0.1"\n' in text) == (transport == "tls")


def test_the_proxy_wants_certificates_and_tls_1_3_and_passes_on_what_was_sent() -> None:
    text = proxy.nginx_conf(node=9200)
    for line in (
        "listen 9243 ssl;",
        "ssl_verify_client on;",
        "ssl_protocols TLSv1.3;",
        f"ssl_client_certificate {DIR}/ca.pem;",
        "proxy_pass http://elasticsearch$request_uri;",
        "server 127.0.0.1:9200;",
    ):
        assert line in text
    assert text.count("listen ") == 2, "one port in plain, for probes"


def spec(objects: Mapping[str, Any], workload: str) -> Any:
    found = objects[workload].inputs["spec"]
    return (found["jobTemplate"]["spec"] if workload.startswith("CronJob") else found)["template"]["spec"]


def secrets(pod: Any) -> set[str]:
    return {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}


@pytest.mark.parametrize("transport", ["both", "tls"])
def test_each_client_has_its_own_certificate_and_no_other(build: Build, transport: str) -> None:
    objects = build(elasticsearch={"transport": transport, "nodeTransport": "plain"})
    every = {secret_of(each) for each in (*CLIENTS, NODES)}
    for client, workload in PODS.items():
        assert secrets(spec(objects, workload)) & every == {secret_of(client)}
    (job,) = (name for name in objects if name.startswith(f"Job/{TEMPLATE}-"))
    assert secrets(spec(objects, job)) & every == {secret_of(TEMPLATE)}
    nodes = spec(objects, "StatefulSet/elasticsearch")
    assert secrets(nodes) == {secret_of(NODES)}

    url = "https://elasticsearch.argus.svc.cluster.local:9243"
    for name in ("ui", "comparison", RETENTION):
        told = objects[f"ConfigMap/{name}"].inputs["data"]
        assert (told["ARGUS_ELASTICSEARCH_URL"], told["ARGUS_ELASTICSEARCH_TLS_DIR"]) == (url, DIR)
    output = json.loads(objects["ConfigMap/filebeat"].inputs["data"]["filebeat.yml"])["output.elasticsearch"]
    assert output["hosts"] == [url] and output["ssl"] == SEARCH_TLS["ssl"]

    node, beside = nodes["containers"]
    assert (node["name"], beside["name"]) == ("elasticsearch", proxy.NAME)
    assert DIR not in {each["mountPath"] for each in node["volumeMounts"]}, "only the proxy reads the private key"
    assert {node[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe")} == {proxy.PROBES}
    assert beside["securityContext"]["readOnlyRootFilesystem"]
    ports = {each["port"] for each in objects["Service/elasticsearch"].inputs["spec"]["ports"]}
    assert ports == ({9200, 9243} if transport == "both" else {9243}), "probes are no service"
    config = objects["ConfigMap/elasticsearch"].inputs["data"]
    assert {"nginx.conf", "proxy.js", "grants.json"} < config.keys()


def test_in_plain_everything_is_as_it_was(build: Build) -> None:
    """A running stack of an earlier version, which asks for it, restarts nothing."""
    objects = build(elasticsearch={"transport": "plain"})
    assert not [name for name in objects if "-identity" in name]
    (node,) = spec(objects, "StatefulSet/elasticsearch")["containers"]
    assert node["readinessProbe"]["httpGet"]["port"] == elasticsearch.HTTP
    assert list(objects["ConfigMap/elasticsearch"].inputs["data"]) == ["elasticsearch.yml"]
    output = json.loads(objects["ConfigMap/filebeat"].inputs["data"]["filebeat.yml"])["output.elasticsearch"]
    assert output.keys() == {"hosts", "index", "bulk_max_size", "worker"}


def test_the_audit_log_is_sent_by_a_certificate_too() -> None:
    for config in (
        audit_log.filebeat_yml("https://search:9243", SEARCH_TLS),
        filebeat_yml("kafka:9092", "https://search:9243", [], search_tls=SEARCH_TLS),
    ):
        output = json.loads(config)["output.elasticsearch"]
        assert output["ssl"]["supported_protocols"] == ["TLSv1.3"]
        assert output["ssl"]["certificate"].startswith(DIR)
        assert output["compression_level"] == 0


@pytest.mark.parametrize("transport", SEARCH_TRANSPORTS)
def test_vertical_scaling_leaves_the_proxy_alone(transport: str) -> None:
    stack = settings(elasticsearch={"transport": transport, "nodeTransport": "plain", "vertical": "apply"})
    (target,) = (each for each in targets(stack, STAGES) if each.name == "elasticsearch")
    policies = target.spec["resourcePolicy"]["containerPolicies"]
    named = [each for each in policies if each["containerName"] == proxy.NAME]
    assert named == ([] if transport == "plain" else [{"containerName": proxy.NAME, "mode": "Off"}])
    assert policies[-1]["containerName"] == "*"
