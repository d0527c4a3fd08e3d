"""What keeps the page's certificate of an ACME server: its rights, its secrets, and what the page is given."""

from typing import Any

import pytest

from apps.acme.settings import Settings
from apps.service.settings import read
from components.pipeline import acme
from components.pipeline.acme import NAMESPACE
from tests.certificates import certificate
from tests.unit.components.pipeline.conftest import Build, declare

URL = "https://argus.example.com"
GIVEN: dict[str, Any] = {
    "server": "https://acme.example.com:14000/directory",
    "email": "cameras@example.com",
    "names": ["cameras.example.com"],
    "dnsProvider": "dnsupdate",
    "options": {"DNSUPDATE_NAMESERVER": "192.0.2.53"},
    "credentials": {"DNSUPDATE_TSIG_SECRET": "hush-hush"},
    "ports": [8081],
    "waitSeconds": 30,
    "externalAccount": {"keyId": "argus", "hmac": "bWFj"},
}


_made: dict[str, Any] = {}


@pytest.fixture
def made(build: Build) -> Any:
    """The pipeline's objects with GIVEN."""
    if not _made:
        _made.update(build(ui={"url": URL, "acme": GIVEN}))
    return _made


def test_lego_is_told_what_the_stack_says(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made[f"ConfigMap/{NAMESPACE}/acme"].inputs["data"] == {
        "ARGUS_SERVER": GIVEN["server"],
        "ARGUS_NAMES": "argus.example.com,cameras.example.com",
        "ARGUS_DNS_PROVIDER": "dnsupdate",
        "ARGUS_CREDENTIALS": "DNSUPDATE_TSIG_SECRET,LEGO_EAB_HMAC",
        "ARGUS_STATE_SECRET": "acme-state",
        "ARGUS_PAGE_NAMESPACE": "argus",
        "ARGUS_PAGE_SECRET": "ui-acme",
        "DNSUPDATE_NAMESERVER": "192.0.2.53",
        "LEGO_EMAIL": "cameras@example.com",
        "LEGO_DNS_PROPAGATION_WAIT": "30s",
        "LEGO_EAB": "true",
        "LEGO_EAB_KID": "argus",
    }
    monkeypatch.setattr("os.environ", dict(made[f"ConfigMap/{NAMESPACE}/acme"].inputs["data"]))
    assert read(Settings).names == ("argus.example.com", "cameras.example.com")


def test_what_is_secret_is_in_one_secret_of_its_own_namespace(made: Any) -> None:
    secret = made[f"Secret/{NAMESPACE}/acme-credentials"]
    assert secret.inputs["stringData"] == {"DNSUPDATE_TSIG_SECRET": "hush-hush", "LEGO_EAB_HMAC": "bWFj"}
    assert "stringData" in secret.secret_inputs
    holders = [key for key, each in made.items() if "hush-hush" in str(each.inputs) or "bWFj" in str(each.inputs)]
    assert holders == [f"Secret/{NAMESPACE}/acme-credentials"]
    container = made[f"Deployment/{NAMESPACE}/acme"].inputs["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [
        {"configMapRef": {"name": "acme"}},
        {"secretRef": {"name": "acme-credentials"}},
    ]


def test_another_credential_restarts_the_pod(build: Build) -> None:
    def annotations(**changes: Any) -> Any:
        spec = build(ui={"url": URL, "acme": {**GIVEN, **changes}})[f"Deployment/{NAMESPACE}/acme"].inputs["spec"]
        assert spec["strategy"] == {"type": "Recreate"}, "two would ask for two certificates"
        return spec["template"]["metadata"]["annotations"]

    assert annotations() != annotations(credentials={"DNSUPDATE_TSIG_SECRET": "another"})
    assert annotations() != annotations(names=[])


def test_it_may_write_two_secrets_and_nothing_else(made: Any) -> None:
    roles = {key: each.inputs["rules"] for key, each in made.items() if key.startswith("Role/") and "acme" in key}
    may = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"]}
    assert roles == {
        "Role/acme": [{**may, "resourceNames": ["ui-acme"]}],
        f"Role/{NAMESPACE}/acme": [{**may, "resourceNames": ["acme-state"]}],
    }
    clusterwide = [key for key in made if key.startswith("ClusterRole") and "acme" in key]
    assert clusterwide == []


@pytest.mark.parametrize("name", ["ui-acme", f"{NAMESPACE}/acme-state"])
def test_what_it_writes_is_left_alone_by_updates(made: Any, name: str) -> None:
    secret = made[f"Secret/{name}"]
    assert "data" not in secret.inputs and "stringData" not in secret.inputs
    assert "data" in secret.ignore_changes


def test_keys_are_on_no_disk(made: Any) -> None:
    volumes = made[f"Deployment/{NAMESPACE}/acme"].inputs["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}} in volumes


def test_the_page_has_it_beside_its_own(made: Any) -> None:
    pod = made["Deployment/ui"].inputs["spec"]["template"]["spec"]
    volumes = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert (volumes["tls"], volumes["acme"]) == ("ui-tls", "ui-acme")
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["acme"] == made["ConfigMap/ui"].inputs["data"]["ARGUS_ACME_DIR"] == acme.PAGE_DIR


def test_a_private_authority_is_a_file(build: Build, tmp_path: Any) -> None:
    text = (certificate(tmp_path / "made", "step") / "tls.crt").read_text()
    made = build(ui={"url": URL, "acme": {**GIVEN, "ca": text}})
    path = made[f"ConfigMap/{NAMESPACE}/acme"].inputs["data"]["LEGO_CA_CERTIFICATES"]
    assert path == "/etc/argus/authority.pem"
    assert made[f"ConfigMap/{NAMESPACE}/acme-authority"].inputs["data"] == {"authority.pem": text}


def test_without_the_key_there_is_nothing_of_it(pulumi_mocks: Any) -> None:
    pulumi_mocks.resources.clear()
    pulumi_mocks.run(declare)
    assert [each.name for each in pulumi_mocks.resources if "acme" in str(each.inputs) or "acme" in each.name] == []
