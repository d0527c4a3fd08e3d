"""The certificates that pods show each other: who has which key, for which names, and when they are made anew."""

import json
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.config.sections import PodSecrets
from components.pipeline import certificates as makers
from components.pipeline.certificates import BLOCK, ROOT, SCRIPT
from components.pipeline.pod_certificates import DIR, PodCertificates, PodCertificatesArgs
from components.pipeline.pod_token import AUTHORITY, FILE
from tests import certificates
from tests.certificates import run
from tests.unit.components.pipeline.conftest import Build, declare
from tests.unit.components.pipeline.test_pipeline import templates, variables

PRODUCERS = {f"Deployment/producer-{number}" for number in range(4)}
ASKING = {"CronJob/comparison", "Deployment/ui", *PRODUCERS}
KINDS = ("producer", "consumer", "metrics")


@pytest.fixture
def printed(pulumi_mocks: Any) -> dict[str, str]:
    """What each command prints, as the computer that runs Pulumi would make it."""
    made = {"pod-certificates-authority": run("authority", "argus-pods")}
    for kind in KINDS:
        made[f"pod-certificates-{kind}"] = run("server", kind, kind, given=made["pod-certificates-authority"])
    pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": made.get(name, "").rstrip("\n")}
    return made


def of(pulumi_mocks: Any, **changes: Any) -> dict[str, Any]:
    """What the stack declares for these certificates, by its name."""
    pulumi_mocks.resources.clear()
    pulumi_mocks.run(lambda: declare(**changes))
    return {each.name: each for each in pulumi_mocks.resources if each.name.startswith("pod-certificates")}


def test_each_kind_of_pods_has_its_own_key_and_nobody_has_the_authority_s(
    pulumi_mocks: Any, printed: dict[str, str]
) -> None:
    made = of(pulumi_mocks)
    root, signing = BLOCK.findall(printed["pod-certificates-authority"])
    for kind in KINDS:
        key, certificate, authority = BLOCK.findall(printed[f"pod-certificates-{kind}"])
        secret = made[f"pod-certificates-{kind}-secret"]
        assert secret.inputs["metadata"]["name"] == f"{kind}-tls" and secret.inputs["type"] == "kubernetes.io/tls"
        assert secret.inputs["stringData"] == {"tls.key": key, "tls.crt": certificate}
        assert authority == root
        assert "stringData" in secret.secret_inputs
        assert "stdin" in made[f"pod-certificates-{kind}"].secret_inputs
        assert [each.name for each in pulumi_mocks.resources if line(key) in json.dumps(each.inputs)] == [secret.name]
    for name in printed:
        assert made[name].inputs["logging"] == "none" and made[name].secret_outputs == {"stdout"}
    held = {each.name for each in pulumi_mocks.resources if line(signing) in json.dumps(each.inputs)}
    assert held == {f"pod-certificates-{kind}" for kind in KINDS}, "those that sign with it, and no pod"
    (token,) = (each for each in pulumi_mocks.resources if each.name == "pod-token-secret")
    assert token.inputs["stringData"][AUTHORITY.name] == root


def line(pem: str) -> str:
    """A line of the text that no other has."""
    return pem.splitlines()[2]


def test_a_pod_mounts_the_certificate_of_its_kind_and_no_other(build: Build) -> None:
    found: dict[str, set[str]] = {}
    for key, template in templates(build()).items():
        for volume in template["spec"].get("volumes", ()):
            name = volume.get("secret", {}).get("secretName", "")
            if name in {f"{kind}-tls" for kind in KINDS}:
                (container,) = template["spec"]["containers"]
                (mounted,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])
                # The folder: a file that is mounted by itself is not renewed.
                assert (mounted["mountPath"], mounted["readOnly"], "subPath" in mounted) == (DIR, True, False)
                found.setdefault(name, set()).add(key)
    # That for metrics is with their token (test_scraping.py).
    assert found == {"producer-tls": PRODUCERS, "consumer-tls": {"StatefulSet/consumer"}}


def test_a_certificate_has_every_name_by_which_its_pods_are_asked(pulumi_mocks: Any) -> None:
    made = of(pulumi_mocks, consumer={"replicas": {"maximum": 4}})
    maps = [each.inputs for each in pulumi_mocks.resources if each.type.endswith(":ConfigMap")]
    data = {each["metadata"]["name"]: each.get("data", {}) for each in maps}
    page, peers = data["ui"], data["producer-0-environment"]["ARGUS_PEERS"]
    asked = {
        "producer": [page["ARGUS_PRODUCER_URLS"], f"https://{peers}"],
        "consumer": [page["ARGUS_CONSUMER_URLS"], data["comparison"]["ARGUS_CONSUMER_URLS"]],
    }
    for kind, lists in asked.items():
        hosts = {urlsplit(url).hostname for urls in lists for url in urls.split(",")}
        _, script, *arguments = made[f"pod-certificates-{kind}"].inputs["create"].split()
        assert (ROOT / script) == SCRIPT, "it is run from the program's folder"
        assert arguments[:2] == ["server", kind] and set(arguments[2:]) == hosts
        assert all(url.startswith("https://") for urls in lists for url in urls.split(","))


def test_who_asks_has_the_authority_s_certificate_and_restarts_for_another(
    pulumi_mocks: Any, build: Build, printed: dict[str, str]
) -> None:
    objects = build()
    for name in ("ui", "comparison", "producer-0-environment"):
        assert variables(objects, name)["ARGUS_AUTHORITY_FILE"] == str(AUTHORITY)
    assert FILE.parent == AUTHORITY.parent and AUTHORITY.name == certificates.AUTHORITY

    def hashes() -> dict[str, str]:
        of(pulumi_mocks)
        found = {f"{each.type.rsplit(':', 1)[-1]}/{each.name}": each.inputs for each in pulumi_mocks.resources}
        return {
            name: found[name]["spec"]["template"]["metadata"]["annotations"]["argus.dev/config-hash"]
            for name in ("Deployment/ui-deployment", "Deployment/producer-0-deployment")
        }

    before = hashes()
    for kind in KINDS:
        printed[f"pod-certificates-{kind}"] = run("server", kind, kind, given=printed["pod-certificates-authority"])
    assert hashes() == before, "a renewed certificate restarts nothing"
    printed["pod-certificates-authority"] = run("authority", "argus-pods")
    assert not set(hashes().values()) & set(before.values())


def test_they_are_made_anew_each_year_and_on_request_and_the_authority_never(
    pulumi_mocks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inputs(year: int, **secrets: Any) -> list[Any]:
        class Then(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> "Then":
                return cls(year, 6, 1, tzinfo=UTC)

        def program() -> None:
            args = PodCertificatesArgs(namespace="argus", section=PodSecrets(**secrets))
            made = PodCertificates("pods", args)
            for kind in KINDS:
                made.server(kind, [kind], {})

        monkeypatch.setattr(makers, "datetime", Then)
        pulumi_mocks.resources.clear()
        pulumi_mocks.run(program)
        authority = pulumi_mocks.named("pods-authority")
        assert "triggers" not in authority.inputs and authority.ignore_changes == {"create"}
        made = [pulumi_mocks.named(f"pods-{kind}").inputs for kind in KINDS]
        return [(each["triggers"], each.get("environment")) for each in made]

    def each(*of_one: Any) -> list[Any]:
        return [of_one for _ in KINDS]

    # As earlier versions had it in that year, so that a stack of theirs keeps what it has.
    assert inputs(2026) == each(["2026"], None)
    assert inputs(2026, redraw="monday") == each(["2026", "monday"], None)
    # In another year it is an update, which a preview does not call a replacement.
    assert inputs(2027) == each(["2026"], {"ARGUS_PERIOD": "2027"})
    assert inputs(2028, redraw="monday") == each(["2026", "monday"], {"ARGUS_PERIOD": "2028"})


def test_a_certificate_of_pods_is_a_server_s_alone(tmp_path: Path) -> None:
    """So Kafka's brokers, or whoever else asks for certificates of clients, do not take it for one."""
    folder = certificates.PodAuthority().write(tmp_path / "tls", "producers")
    for purpose, good in (("sslserver", True), ("sslclient", False)):
        verify = ["openssl", "verify", "-CAfile", str(folder / AUTHORITY.name), "-purpose", purpose]
        done = subprocess.run([*verify, str(folder / "tls.crt")], capture_output=True, check=False, timeout=60)
        assert (done.returncode == 0) is good, purpose
    shown = ssl._ssl._test_decode_cert(str(folder / "tls.crt"))  # type: ignore[attr-defined]
    days = ssl.cert_time_to_seconds(shown["notAfter"]) - ssl.cert_time_to_seconds(shown["notBefore"])
    assert days == 1095 * 86_400


def test_probes_are_in_plain_at_a_port_of_their_own_that_no_service_has(build: Build) -> None:
    objects = build()
    for key in ("StatefulSet/consumer", *PRODUCERS):
        (container,) = templates(objects)[key]["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] == 8081, key
    for name in ("consumer", "producers", "producer-0"):
        assert [port["port"] for port in objects[f"Service/{name}"].inputs["spec"]["ports"]] == [8080]
    for key, each in objects.items():
        if key.startswith("NetworkPolicy/"):
            assert "8081" not in json.dumps(each.inputs), key
