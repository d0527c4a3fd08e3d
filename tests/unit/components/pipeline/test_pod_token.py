"""The token by which pods know each other is in one Secret, and in the pods that need it."""

import json
from typing import Any

from components.pipeline.pod_token import AUTHORITY, FILE
from tests.unit.components.pipeline.conftest import Build
from tests.unit.components.pipeline.test_pipeline import templates

PRODUCERS = {f"Deployment/producer-{number}" for number in range(4)}
HOLDERS = {"StatefulSet/consumer", "CronJob/comparison", "Deployment/ui", *PRODUCERS}


def mounts_it(template: Any) -> bool:
    spec = template["spec"]
    volumes = {each["name"] for each in spec["volumes"] if each.get("secret", {}).get("secretName") == "pods-token"}
    (container,) = spec["containers"]
    mounted = [each for each in container.get("volumeMounts", ()) if each["name"] in volumes]
    # The folder: a file that is mounted by itself is not renewed.
    return [(each["mountPath"], each["readOnly"], "subPath" in each) for each in mounted] == [
        (str(FILE.parent), True, False)
    ]


def test_the_token_is_where_it_is_needed_and_nowhere_else(words: None, build: Build) -> None:
    objects = build(kafka={})
    told = [key for key, each in objects.items() if "drawn-pod-token" in json.dumps(each.inputs)]
    assert told == ["Secret/pods-token"]
    secret = objects["Secret/pods-token"]
    assert "stringData" in secret.secret_inputs
    assert secret.inputs["stringData"].keys() == {FILE.name, AUTHORITY.name}
    found = {key for key, each in templates(objects).items() if "pods-token" in json.dumps(each)}
    assert found == HOLDERS
    assert all(mounts_it(templates(objects)[key]) for key in HOLDERS)


def test_another_token_restarts_nobody(words: None, build: Build) -> None:
    before, after = build(kafka={}), build(podSecrets={"redraw": "monday"})
    assert before["Secret/pods-token"].inputs != after["Secret/pods-token"].inputs
    for key in HOLDERS:
        assert before[key].inputs == after[key].inputs, key
