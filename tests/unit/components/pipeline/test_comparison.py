"""The comparison's job: one at a time, bounded, and what the page looks for in its pods and Filebeat's."""

import json

from apps.indices.counters import HOST
from apps.messages.names import COMPARISON, FILEBEAT
from apps.ui.not_searchable import NAME, metrics_urls
from tests.unit.components.pipeline.conftest import Build
from tests.unit.components.pipeline.test_pipeline import variables


def test_one_comparison_runs_at_a_time_for_an_hour_at_most(build: Build) -> None:
    spec = build()["CronJob/comparison"].inputs["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("*/15 * * * *", "Forbid")
    job = spec["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 3600)
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "apps.indices.compare"]
    assert container["resources"]["limits"]["memory"] == "512Mi"


def test_it_compares_all_models_and_all_disks(build: Build) -> None:
    told = variables(build(), "comparison")
    assert told["ARGUS_RESULTS_TOPICS"] == "results.objects,results.motion"
    assert told["ARGUS_CONSUMER_URLS"].count("https://consumer-") == 2


def test_the_page_finds_the_report_and_the_counters(build: Build) -> None:
    objects = build()
    template = objects["CronJob/comparison"].inputs["spec"]["jobTemplate"]["spec"]["template"]
    assert template["metadata"]["labels"][NAME] == COMPARISON
    filebeat = objects["Deployment/filebeat"].inputs["spec"]["template"]
    # The numbers of Pulumi's mocks have a fraction.
    containers = [
        {"ports": [{**port, "containerPort": int(port["containerPort"])} for port in container.get("ports", ())]}
        for container in filebeat["spec"]["containers"]
    ]
    pod = {
        "metadata": {"name": "filebeat-1", "labels": filebeat["metadata"]["labels"]},
        "spec": {"containers": containers},
        "status": {"podIP": "10.244.0.9"},
    }
    assert filebeat["metadata"]["labels"][NAME] == FILEBEAT
    assert metrics_urls([pod]) == {"filebeat-1": "https://10.244.0.9:8082/metrics"}


def test_filebeat_answers_inside_its_pod_alone_and_is_asked_there(build: Build) -> None:
    objects = build()
    config = json.loads(variables(objects, "filebeat")["filebeat.yml"])
    filebeat, beside = objects["Deployment/filebeat"].inputs["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in beside["env"]}
    assert config["http"] == {"enabled": True, "host": HOST, "port": int(environment["ARGUS_FILEBEAT_PORT"])}
    # A kubelet asks what is beside it whether Filebeat answers.
    probed = {name: probe["httpGet"] for name, probe in filebeat.items() if name.endswith("Probe")}
    assert len(probed) == 3
    assert all((each["path"], int(each["port"])) == ("/readyz", 8081) for each in probed.values())
    assert environment["ARGUS_PROBE_PORT"] == "8081"
    # It is back from a restart long before Filebeat would be restarted for it.
    assert filebeat["livenessProbe"]["failureThreshold"] * filebeat["livenessProbe"]["periodSeconds"] >= 120
