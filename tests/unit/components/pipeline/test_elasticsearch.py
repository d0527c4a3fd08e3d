"""Elasticsearch's configuration and the mapping of results."""

import json
from datetime import UTC, datetime
from typing import Any

from apps.messages import STILL, Detection, Result, Skipped, result_to_json
from components.config.sections import Elasticsearch
from components.pipeline.elasticsearch import FORMED, NEVER_AGAIN, elasticsearch_yml, index_template
from tests.unit.components.pipeline.conftest import Build

INITIAL_MASTERS = "cluster.initial_master_nodes"
SECTION = Elasticsearch(replicas=2, volumeGiB=8, transport="plain")


def test_no_node_can_begin_a_cluster_alone() -> None:
    text = elasticsearch_yml("argus", SECTION)
    assert f'{INITIAL_MASTERS}: ["elasticsearch-0", "elasticsearch-1"]\n' in text
    assert "elasticsearch-1.elasticsearch-nodes.argus.svc.cluster.local" in text


def variables(objects: Any) -> dict[str, Any]:
    container, *_ = objects["StatefulSet/elasticsearch"].inputs["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("valueFrom") for each in container["env"]}


def test_no_pod_begins_another_cluster_once_there_is_one(build: Build) -> None:
    objects = build()
    formed = objects[f"ConfigMap/{FORMED}"]
    assert formed.inputs["data"] == NEVER_AGAIN
    assert not NEVER_AGAIN[INITIAL_MASTERS].startswith("elasticsearch-"), "no pod has that name"
    reference = {"name": FORMED, "key": INITIAL_MASTERS, "optional": True}
    assert variables(objects)[INITIAL_MASTERS] == {"configMapKeyRef": reference}, "the first pods start without it"
    assert "elasticsearch-template-job" in formed.depends_on, "it is there once the cluster has answered"


def test_a_node_alone_begins_with_an_empty_disk_as_there_is_no_other(build: Build) -> None:
    objects = build(elasticsearch={"replicas": 1})
    assert f"ConfigMap/{FORMED}" not in objects
    assert INITIAL_MASTERS not in variables(objects)


def test_watermarks_are_shares_of_the_volume() -> None:
    text = elasticsearch_yml("argus", SECTION)
    assert 'watermark.low: "1228mb"\n' in text
    assert 'watermark.flood_stage: "409mb"\n' in text


def fields(document: dict[str, Any], at: str = "") -> set[str]:
    found = set()
    for key, value in document.items():
        item = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        found |= fields(item, f"{at}{key}.") if isinstance(item, dict) else {f"{at}{key}"}
    return found


def mapped(properties: dict[str, Any], at: str = "") -> set[str]:
    found = set()
    for key, value in properties.items():
        found |= mapped(value["properties"], f"{at}{key}.") if "properties" in value else {f"{at}{key}"}
    return found


def test_every_field_of_a_result_is_mapped() -> None:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    result = Result(
        camera="a",
        sequence=1,
        captured_at=moment,
        width=640,
        height=360,
        model="objects",
        model_version="1",
        processed_at=moment,
        detections=(
            Detection(
                label="person",
                score=0.5,
                box=(1, 2, 3, 4),
                polygon=((1, 2), (3, 2), (3, 4)),
                keypoints=((2, 3, 0.5),),
                angle=0.1,
            ),
        ),
        skipped=Skipped(reason=STILL, carried_from=0),
    )
    template = index_template(2)["template"]
    assert mapped(template["mappings"]["properties"]) == fields(json.loads(result_to_json(result)))
    assert template["settings"]["number_of_replicas"] == 1
