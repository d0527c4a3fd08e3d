"""Who reads metrics shows a token of their own, which every pod that has metrics asks for; all show one certificate."""

import json
import re
from typing import Any

import pytest
import yaml

from apps.messages.names import METRICS_HOST, METRICS_PORT_NAME
from apps.service.peer import SCRAPERS_TOKEN
from components import kubernetes as k
from components.pipeline.scraping import DIR
from tests.unit.components.conftest import ROOT
from tests.unit.components.pipeline.conftest import Build, declare
from tests.unit.components.pipeline.test_pipeline import templates
from tests.unit.components.pipeline.test_pod_token import HOLDERS

MEASURED = {
    *(HOLDERS - {"CronJob/comparison"}),
    "Deployment/filebeat",
    "Deployment/model-motion",
    "Deployment/model-objects",
}


def of_metrics(template: Any) -> list[Any]:
    """The volumes of a pod with the token for metrics."""
    return [each for each in template["spec"].get("volumes", ()) if "metrics-token" in json.dumps(each)]


def test_the_token_is_where_it_is_needed_and_no_other_s(words: None, build: Build) -> None:
    objects = build(kafka={})
    assert [key for key, each in objects.items() if "drawn-metrics-token" in json.dumps(each.inputs)] == [
        "Secret/metrics-token"
    ]
    secret = objects["Secret/metrics-token"]
    assert "stringData" in secret.secret_inputs
    # What a scraper in the cluster needs, and nothing else.
    assert secret.inputs["stringData"].keys() == {SCRAPERS_TOKEN, "ca.pem"}
    assert secret.inputs["stringData"]["ca.pem"] == objects["Secret/pods-token"].inputs["stringData"]["ca.pem"]
    assert {key for key, each in templates(objects).items() if of_metrics(each)} == MEASURED


def test_a_pod_has_the_token_and_one_certificate_in_one_folder_that_is_renewed(build: Build) -> None:
    objects = build()
    assert objects["Secret/metrics-tls"].inputs["type"] == "kubernetes.io/tls"
    for key, template in templates(objects).items():
        if key not in MEASURED:
            continue
        (volume,) = of_metrics(template)
        token, pair = (each["secret"] for each in volume["projected"]["sources"])
        assert token == {"name": "metrics-token", "items": [{"key": SCRAPERS_TOKEN, "path": SCRAPERS_TOKEN}]}, key
        assert pair == {"name": "metrics-tls"}
        assert volume["projected"]["defaultMode"] == 0o440
        (container,) = (
            each
            for each in template["spec"]["containers"]
            if DIR in {mount["mountPath"] for mount in each["volumeMounts"]}
        )
        (mounted,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])
        # The folder: a file that is mounted by itself is not renewed.
        assert (mounted["mountPath"], mounted["readOnly"], "subPath" in mounted) == (DIR, True, False)
        ports = {port["name"]: int(port["containerPort"]) for port in container["ports"]}
        assert ports[METRICS_PORT_NAME] == k.METRICS_PORT, key


def test_all_show_the_name_by_which_a_scraper_knows_them_and_no_pod_s(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(declare)
    asked = pulumi_mocks.named("pod-certificates-metrics").inputs["create"].split()
    assert asked[2:] == ["server", "metrics", METRICS_HOST]
    others = [pulumi_mocks.named(f"pod-certificates-{kind}").inputs["create"] for kind in ("producer", "consumer")]
    assert all(METRICS_HOST not in each for each in others)


def test_another_token_restarts_nobody(words: None, build: Build) -> None:
    before, after = build(kafka={}), build(podSecrets={"redraw": "monday"})
    assert before["Secret/metrics-token"].inputs != after["Secret/metrics-token"].inputs
    for key in MEASURED:
        if not key.startswith("Deployment/model-"):  # which have another secret then
            assert before[key].inputs == after[key].inputs, key


@pytest.mark.parametrize("port", [k.PROBE_PORT, k.METRICS_PORT])
def test_no_service_has_probes_or_metrics_and_no_policy_but_the_page_s_to_filebeat(build: Build, port: int) -> None:
    objects = build()
    having = {key for key, each in objects.items() if str(port) in json.dumps(each.inputs)}
    assert not [key for key in having if key.startswith("Service/")]
    policies = {key for key in having if key.startswith("NetworkPolicy/")}
    assert policies == ({"NetworkPolicy/ui", "NetworkPolicy/filebeat"} if port == k.METRICS_PORT else set())


def test_what_operations_tells_a_prometheus_fits_what_pods_show(build: Build) -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("## Read metrics")[2].partition("\n## ")[0]
    scrape, monitor, policy = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", section, re.DOTALL))
    (job,) = scrape["scrape_configs"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert job["scheme"] == endpoint["scheme"] == "https"
    assert job["tls_config"]["server_name"] == endpoint["tlsConfig"]["serverName"] == METRICS_HOST
    assert job["relabel_configs"][0]["regex"] == endpoint["port"] == METRICS_PORT_NAME
    secret = build()["Secret/metrics-token"].inputs
    for asked in (endpoint["authorization"]["credentials"], endpoint["tlsConfig"]["ca"]["secret"]):
        assert asked["name"] == secret["metadata"]["name"] and asked["key"] in secret["stringData"]
    namespaces = job["kubernetes_sd_configs"][0]["namespaces"]["names"]
    assert namespaces == [monitor["metadata"]["namespace"]] == [policy["metadata"]["namespace"]] == ["argus"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": k.METRICS_PORT, "protocol": "TCP"}]
    assert f"https://{METRICS_HOST}:{k.METRICS_PORT}/metrics" in section
