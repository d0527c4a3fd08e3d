"""Kafka's certificates and access rules: who has which, and in which order a running stack gets them."""

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.service.settings import KafkaSettings
from components.config.sections import TRANSPORTS, Kafka, PodSecrets, Transport
from components.pipeline import kafka
from components.pipeline.certificates import BLOCK, SCRIPT
from components.pipeline.kafka_grants import SUPER_USERS, grants, identity_of
from components.pipeline.kafka_identities import (
    AUTHORITY,
    DIR,
    PAIR,
    KafkaIdentities,
    KafkaIdentitiesArgs,
)
from components.pipeline.network_policies import flows
from tests.certificates import openssl
from tests.unit.components.pipeline.conftest import Build
from tests.unit.components.pipeline.test_pipeline import templates

BROKER = "StatefulSet/kafka"
PRODUCERS = {f"Deployment/producer-{number}" for number in range(4)}
MODELS = {"Deployment/model-objects", "Deployment/model-motion"}
CLIENTS = {"StatefulSet/consumer", "Deployment/filebeat", "CronJob/comparison", "Deployment/ui", *PRODUCERS}
FROM_PLAIN_TO_TLS: tuple[Transport, ...] = TRANSPORTS[1:]


def made(*arguments: str, given: str | None = None) -> list[str]:
    """The PEM blocks that certificate.sh prints, and nothing beside them."""
    done = subprocess.run(["bash", SCRIPT, *arguments], input=given, text=True, capture_output=True, check=True)
    blocks = BLOCK.findall(done.stdout)
    assert "".join(blocks) == done.stdout
    return blocks


@pytest.fixture(scope="module")
def authority() -> str:
    return "".join(made("authority"))


def test_the_last_block_is_found_without_the_newline_that_pulumi_cuts_off(authority: str) -> None:
    blocks = made("identity", "kafka", given=authority)
    assert BLOCK.findall("".join(blocks).removesuffix("\n")) == [*blocks[:2], blocks[2].removesuffix("\n")]


def test_a_certificate_is_good_for_its_name_and_its_hosts(authority: str, tmp_path: Path) -> None:
    key, certificate, root = made("identity", "kafka", "*.kafka.argus.svc.cluster.local", "localhost", given=authority)
    (tmp_path / "ca").write_text(root)
    for purpose in ("sslserver", "sslclient"):
        verify = ["verify", "-CAfile", tmp_path / "ca", "-purpose", purpose, "-verify_hostname", "localhost"]
        assert openssl(*verify, given=certificate) == b"stdin: OK\n"
    assert openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", given=certificate) == b"subject=CN=kafka\n"
    assert b"DNS:*.kafka.argus.svc.cluster.local" in openssl("x509", "-noout", "-text", given=certificate)
    assert openssl("pkey", "-pubout", given=key) == openssl("x509", "-pubkey", "-noout", given=certificate)
    # Java reads no other kind of key.
    assert key.startswith("-----BEGIN PRIVATE KEY-----")


def test_nobody_but_the_authority_can_sign_and_its_key_stays_with_it(authority: str, tmp_path: Path) -> None:
    root, private = BLOCK.findall(authority)
    pair = made("identity", "producer", given=authority)
    assert pair[2] == root
    assert private not in "".join(pair)
    forged = made("identity", "kafka", "localhost", given="".join([pair[1], pair[0]]))
    for name, text in {"ca": root, "between": pair[1]}.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(subprocess.CalledProcessError):
        openssl("verify", "-CAfile", tmp_path / "ca", "-untrusted", tmp_path / "between", given=forged[1])


def test_keys_are_secret_are_not_logged_and_the_authority_is_kept(pulumi_mocks: Any) -> None:
    def program() -> None:
        args = KafkaIdentitiesArgs(namespace="argus", transport="tls", section=PodSecrets(redraw="today"))
        KafkaIdentities("identities", args).client("producer")

    pulumi_mocks.run(program)
    root, signed = (pulumi_mocks.named(f"identities-{part}") for part in ("authority", "producer-certificate"))
    for command in (root, signed):
        assert command.secret_outputs == {"stdout"}
        assert command.inputs["logging"] == "none"
    assert "stdin" in signed.secret_inputs
    assert "stringData" in pulumi_mocks.named("identities-producer-secret").secret_inputs
    assert root.ignore_changes == {"create"}
    assert "triggers" not in root.inputs
    # Of the year alone: test_pod_certificates.py.
    assert signed.inputs["triggers"][1:] == ["today"]


def holders(objects: Any) -> set[str]:
    """The workloads whose pods have a certificate for Kafka in a volume of its own."""
    return {
        name
        for name, template in templates(objects).items()
        if any(
            each.get("secret", {}).get("secretName", "").startswith("kafka-")
            for each in template["spec"].get("volumes", ())
        )
    }


def variables(objects: Any, config_map: str) -> dict[str, str]:
    found: dict[str, str] = objects[f"ConfigMap/{config_map}"].inputs["data"]
    return found


def test_in_plain_nobody_has_a_certificate_and_brokers_are_as_before(build: Build) -> None:
    objects = build(kafka={"transport": "plain"})
    assert holders(objects) == set()
    text = json.dumps({name: each.inputs for name, each in objects.items() if "NetworkPolicy" not in name})
    assert "kafka_tls" not in text.lower() and "9093" not in text and "authorizer" not in text
    broker = templates(objects)[BROKER]["spec"]["containers"][0]
    assert broker["command"][2].count("advertised.listeners=PLAINTEXT://${HOSTNAME}.kafka.${POD_NAMESPACE}") == 1


def test_with_both_brokers_listen_with_tls_and_clients_stay_in_plain(build: Build) -> None:
    objects = build(kafka={"transport": "both"})
    assert holders(objects) == {BROKER}
    assert "ARGUS_KAFKA_TLS_DIR" not in variables(objects, "ui")
    assert ":9093" not in variables(objects, "ui")["ARGUS_KAFKA_BOOTSTRAP_SERVERS"]


@pytest.mark.parametrize("transport", ["prefer", "tls"])
def test_then_every_client_has_its_own_certificate(build: Build, transport: str) -> None:
    objects = build(kafka={"transport": transport}, filebeat={"replicas": {"maximum": 2}})
    jobs = {name for name in templates(objects) if name.startswith(("Job/topics-", "Job/kafka-rules-"))}
    assert len(jobs) == 2
    assert holders(objects) == {BROKER, *CLIENTS, *jobs}
    for name in ("consumer", "ui", "comparison", "producer-0-environment"):
        given = variables(objects, name)
        assert given["ARGUS_KAFKA_TLS_DIR"] == DIR
        settings = KafkaSettings(kafka_bootstrap_servers="kafka", kafka_tls_dir=Path(given["ARGUS_KAFKA_TLS_DIR"]))
        assert settings.kafka_connection["ssl.key.location"] == f"{DIR}/{PAIR}"
        assert settings.kafka_connection["ssl.ca.location"] == f"{DIR}/{AUTHORITY}"
        assert all(each.endswith(":9093") for each in given["ARGUS_KAFKA_BOOTSTRAP_SERVERS"].split(","))
    (filebeat,) = json.loads(variables(objects, "filebeat")["filebeat.yml"])["filebeat.inputs"]
    assert filebeat["ssl"]["key"] == f"{DIR}/{PAIR}"
    (trigger, _) = objects["ScaledObject/filebeat"].inputs["spec"]["triggers"]
    known_by = {"kind": "ClusterTriggerAuthentication", "name": "argus-filebeat"}
    assert (trigger["metadata"]["tls"], trigger["authenticationRef"]) == ("enable", known_by)
    told = objects["ClusterTriggerAuthentication/argus-filebeat"].inputs["spec"]["secretTargetRef"]
    secret = objects["Secret/argus-keda/kafka-keda-operator"].inputs
    assert {each["parameter"]: each["key"] in secret["stringData"] for each in told} == {
        "ca": True,
        "cert": True,
        "key": True,
    }
    # KEDA looks for the Secrets of such an object in its own namespace, and may read no others.
    operator = objects["Deployment/argus-keda/keda-operator"].inputs
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert {"name": "KEDA_RESTRICT_SECRET_ACCESS", "value": "true"} in container["env"]


def test_an_application_has_its_certificate_in_the_one_secret_that_its_executors_may_have(build: Build) -> None:
    objects = build(kafka={"transport": "tls"})
    for name in MODELS:
        application = name.removeprefix("Deployment/")
        (secret,) = [each for key, each in objects.items() if key.startswith(f"Secret/{application}-rpc-")]
        assert set(secret.inputs["stringData"]) == {"rpc", PAIR, AUTHORITY}
        assert "stringData" in secret.secret_inputs
        (environment,) = [each for key, each in objects.items() if key.startswith(f"ConfigMap/{application}-environ")]
        assert environment.inputs["data"]["ARGUS_KAFKA_TLS_DIR"] == "/etc/argus-secrets"


@pytest.mark.parametrize("transport", FROM_PLAIN_TO_TLS)
def test_brokers_trust_who_is_in_plain_until_tls(transport: Transport) -> None:
    lines = dict(
        line.split("=", 1)
        for line in kafka.server_properties("zookeeper:2181", Kafka(transport=transport), transport).split()
    )
    last = transport == "tls"
    assert ("User:ANONYMOUS" in lines["super.users"].split(";")) is not last
    assert lines["allow.everyone.if.no.acl.found"] == str(not last).lower()
    assert ("PLAINTEXT" in lines["listeners"]) is not last
    assert lines["ssl.client.auth"] == "required"
    assert lines["ssl.keystore.location"].startswith(DIR)


def test_brokers_talk_to_each_other_only_where_all_listen_before_and_after_a_step() -> None:
    """Between two steps some brokers are of the one and some of the other."""
    for before, after in itertools.pairwise(TRANSPORTS):
        for within in (before, after):
            text = kafka.server_properties("zookeeper:2181", Kafka(transport=within), within)
            listener = "SSL" if "inter.broker.listener.name=SSL" in text else "PLAINTEXT"
            assert listener in kafka.ports(before) and listener in kafka.ports(after)
        # Clients of the step before reach the brokers of both.
        assert kafka.port_of_clients(before) in kafka.ports(after).values()


def test_who_connects_to_a_broker_is_in_both_tables() -> None:
    applications = {"objects": ["objects", "other"], "motion": ["motion"]}
    connect = {
        identity_of(flow.client)
        for flow in flows(list(applications), "tls", "tls", "tls", ())
        if flow.server == "kafka"
    }
    assert connect == {grant.client for grant in grants(applications)} | set(SUPER_USERS)


def test_the_brokers_encrypt_with_the_optimising_compiler(build: Build) -> None:
    """With the quick one alone, AES takes fifty times the processor time (ADR 24)."""
    (container,) = templates(build(kafka={"transport": "tls"}))[BROKER]["spec"]["containers"]
    assert "TieredStopAtLevel" not in json.dumps(container["env"])
