"""The comparison's job: one at a time, bounded, and what the page looks for in its pods and Filebeat's."""

from apps.messages.names import COMPARISON, FILEBEAT
from apps.ui.not_searchable import NAME, stats_urls
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
    (container,) = filebeat["spec"]["containers"]
    # The numbers of Pulumi's mocks have a fraction.
    ports = [{**port, "containerPort": int(port["containerPort"])} for port in container["ports"]]
    pod = {
        "metadata": {"name": "filebeat-1", "labels": filebeat["metadata"]["labels"]},
        "spec": {"containers": [{"ports": ports}]},
        "status": {"podIP": "10.244.0.9"},
    }
    assert filebeat["metadata"]["labels"][NAME] == FILEBEAT
    assert stats_urls([pod]) == {"filebeat-1": "http://10.244.0.9:5066/stats"}
