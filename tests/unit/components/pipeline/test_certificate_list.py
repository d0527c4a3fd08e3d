"""The list by which the page knows when certificates end: all of them, and no key."""

import json
from typing import Any

import pytest

from apps.ui.expiring import SHOWN_TO
from components.pipeline.certificate_list import DIR, NAME
from components.pipeline.certificates import BLOCK
from tests.certificates import run
from tests.unit.components.pipeline.conftest import Build, declare

STEPS: dict[str, dict[str, Any]] = {
    "plain": {"kafka": {"transport": "plain"}, "elasticsearch": {"transport": "plain"}},
    "tls": {
        "kafka": {
            "transport": "tls",
            "outside": {"nodePort": 30100, "clients": {"reader": {"read": ["results.objects"], "groups": ["reader"]}}},
        },
        "elasticsearch": {"transport": "tls"},
    },
}


@pytest.fixture
def printed(pulumi_mocks: Any) -> None:
    """Each command prints a certificate of its own."""
    signing = run("authority")

    def made(name: str, _: Any) -> dict[str, str]:
        kind = ["authority"] if name.endswith("authority") else ["identity", "somebody"]
        return {"stdout": run(*kind, given=signing).rstrip("\n")}

    pulumi_mocks.outputs["command:local:Command"] = made


@pytest.mark.parametrize("step", STEPS)
def test_it_has_every_certificate_of_the_stack_and_no_key(pulumi_mocks: Any, printed: None, step: str) -> None:
    pulumi_mocks.run(lambda: declare(**STEPS[step]))
    commands = [each.inputs["create"] for each in pulumi_mocks.of_type("command:local:Command")]
    yearly = [each for each in commands if "/certificate.sh" in each and ".sh authority" not in each]
    listed = pulumi_mocks.named("certificates-config")
    data = listed.inputs["data"]
    assert len(data) == len(yearly)
    assert {name.split(".")[0] for name in data} == ({"pods"} if step == "plain" else set(SHOWN_TO))
    blocks = [each for text in data.values() for each in BLOCK.findall(text)]
    assert len(blocks) == len(set(blocks)) == len(data) and all("BEGIN CERTIFICATE" in each for each in blocks)
    assert "PRIVATE KEY" not in json.dumps(listed.inputs) and "data" not in listed.secret_inputs


def test_the_certificates_are_those_of_the_secrets(pulumi_mocks: Any, printed: None) -> None:
    pulumi_mocks.run(lambda: declare(**STEPS["tls"]))
    data = pulumi_mocks.named("certificates-config").inputs["data"]
    held = [json.dumps(each.inputs) for each in pulumi_mocks.resources if each.type.endswith(":Secret")]
    nobody = {name for name, text in data.items() if not any(json.dumps(text)[1:-3] in each for each in held)}
    # Its program has it from the stack's output.
    assert nobody == {"kafka.reader.crt"}


def test_the_page_has_the_folder_before_there_is_a_list(build: Build) -> None:
    objects = build()
    spec = objects["Deployment/ui"].inputs["spec"]["template"]["spec"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == NAME)
    assert volume["configMap"] == {"name": NAME, "optional": True}
    (container,) = spec["containers"]
    (mounted,) = (each for each in container["volumeMounts"] if each["name"] == NAME)
    assert (mounted["mountPath"], mounted["readOnly"], "subPath" in mounted) == (DIR, True, False)
    assert objects["ConfigMap/ui"].inputs["data"]["ARGUS_CERTIFICATES_DIR"] == DIR
    assert objects[f"ConfigMap/{NAME}"].inputs["metadata"]["name"] == NAME
