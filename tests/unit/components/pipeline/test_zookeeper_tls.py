"""ZooKeeper's certificates: who has which, and in which order a running stack gets them."""

import itertools
import json
from typing import Any

import pytest

from components.config.sections import TRANSPORTS, Kafka, PodSecrets, Transport
from components.pipeline import kafka, zookeeper
from components.pipeline.kafka_identities import AUTHORITY, PAIR
from components.pipeline.zookeeper_identities import DIR, QUORUM_DIR, ZookeeperIdentities, ZookeeperIdentitiesArgs
from tests.unit.components.pipeline.conftest import Build
from tests.unit.components.pipeline.test_pipeline import templates

MEMBERS, BROKERS = "StatefulSet/zookeeper", "StatefulSet/kafka"
FILES = {"member": "zookeeper-member", "quorum": "zookeeper-quorum", "broker": "zookeeper-kafka"}
BETWEEN_STEPS = [*itertools.pairwise(TRANSPORTS), *((b, a) for a, b in itertools.pairwise(TRANSPORTS))]


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split())


def config(transport: Transport) -> dict[str, str]:
    return lines(zookeeper.zoo_cfg("argus", 3, transport))


def broker(transport: Transport) -> dict[str, str]:
    connect = f"zookeeper-0:{zookeeper.port_of_brokers(transport)}"
    return lines(kafka.server_properties(connect, Kafka(transport="plain"), transport))


def port(transport: Transport) -> int:
    """The port to which a broker of this step connects."""
    return int(broker(transport)["zookeeper.connect"].partition(":")[2])


def speaks_tls(transport: Transport) -> bool:
    return config(transport).get("sslQuorum") == "true"


def understands(transport: Transport, *, tls: bool) -> bool:
    """Whether a member of this step lets in another one that comes with TLS, or in plain."""
    return config(transport).get("portUnification") == "true" or speaks_tls(transport) == tls


def listening(transport: Transport) -> set[int]:
    """The clients' ports at which a member of this step listens."""
    return {int(config(transport)[key]) for key in ("clientPort", "secureClientPort") if key in config(transport)}


def secrets_of(objects: Any, workload: str) -> dict[str, str]:
    """The Secrets with certificates of ZooKeeper that pods have, by the folder."""
    pod = templates(objects)[workload]["spec"]
    names = {each["name"]: each.get("secret", {}).get("secretName", "") for each in pod["volumes"]}
    mounts = {each["mountPath"]: names.get(each["name"], "") for each in pod["containers"][0]["volumeMounts"]}
    return {folder: secret for folder, secret in mounts.items() if secret.startswith("zookeeper-")}


@pytest.mark.parametrize(("before", "after"), BETWEEN_STEPS)
def test_between_two_steps_members_and_brokers_of_both_understand_each_other(
    before: Transport, after: Transport
) -> None:
    """Members change one after the other, and then brokers."""
    for one, other in itertools.product((before, after), repeat=2):
        assert understands(one, tls=speaks_tls(other))
    assert port(before) in listening(before) & listening(after)
    assert port(after) in listening(after)


def test_a_step_that_leaves_one_out_would_part_members() -> None:
    """Or the test above could not fail."""
    assert not understands("plain", tls=speaks_tls("prefer"))
    assert not understands("tls", tls=speaks_tls("both"))
    assert port("plain") not in listening("tls")


def test_in_plain_everything_is_as_before(build: Build) -> None:
    objects = build(kafka={"transport": "plain"})
    assert not any("zookeeper-identit" in json.dumps(each.inputs) for each in objects.values())
    assert secrets_of(objects, MEMBERS) == secrets_of(objects, BROKERS) == {}
    assert config("plain").keys() == {
        "tickTime",
        "initLimit",
        "syncLimit",
        "dataDir",
        "clientPort",
        "maxClientCnxns",
        "admin.enableServer",
        "autopurge.snapRetainCount",
        "autopurge.purgeInterval",
        "4lw.commands.whitelist",
        "quorumListenOnAllIPs",
        "server.1",
        "server.2",
        "server.3",
    }
    assert not any("ssl" in key for key in broker("plain"))
    assert set(objects["ConfigMap/zookeeper"].inputs["data"]) == {"zoo.cfg", "logback.xml"}


@pytest.mark.parametrize("transport", TRANSPORTS[1:])
def test_members_have_both_certificates_before_they_need_them(build: Build, transport: Transport) -> None:
    objects = build(kafka={"transport": transport})
    assert secrets_of(objects, MEMBERS) == {DIR: FILES["member"], QUORUM_DIR: FILES["quorum"]}
    connects = transport in ("prefer", "tls")
    assert secrets_of(objects, BROKERS) == ({DIR: FILES["broker"]} if connects else {})
    for name in FILES.values():
        secret = objects[f"Secret/{name}"]
        assert set(secret.inputs["stringData"]) == {PAIR, AUTHORITY}
        assert "stringData" in secret.secret_inputs
    data = objects["ConfigMap/zookeeper"].inputs["data"]
    assert data["zoo.cfg"] == zookeeper.zoo_cfg("argus", 3, transport)
    read = {**lines(data["zoo.cfg"]), **lines(data["client.properties"])}
    stores = {value.rpartition("/")[0] for key, value in read.items() if key.endswith("Store.location")}
    assert stores == {DIR, QUORUM_DIR}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_members_are_probed_and_found_at_the_ports_that_they_have(build: Build, transport: Transport) -> None:
    objects = build(kafka={"transport": transport})
    (container,) = templates(objects)[MEMBERS]["spec"]["containers"]
    named = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert set(named.values()) == {*listening(transport), zookeeper.QUORUM, zookeeper.ELECTION}
    service = objects["Service/zookeeper"].inputs["spec"]["ports"]
    assert {each["name"]: each["port"] for each in service} == named
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["tcpSocket"]["port"] in listening(transport)


@pytest.mark.parametrize(
    ("given", "connects"), [({"transport": "plain"}, False), ({"transport": "prefer"}, True), ({}, True)]
)
def test_a_stack_may_take_zookeeper_through_the_steps_alone(
    build: Build, given: dict[str, str], connects: bool
) -> None:
    """As one does whose Kafka went ahead with an earlier version."""
    objects = build(kafka={"transport": "tls"}, zookeeper=given)
    text = objects["ConfigMap/kafka"].inputs["data"]["server.properties"]
    assert ("zookeeper.ssl.client.enable=true" in text) is connects
    assert "listeners=SSL://:9093\n" in text
    assert bool(secrets_of(objects, BROKERS)) is connects


@pytest.mark.parametrize("transport", TRANSPORTS[1:])
def test_members_ask_whoever_comes_with_tls_for_a_certificate(transport: Transport) -> None:
    found = config(transport)
    assert found["ssl.clientAuth"] == found["ssl.quorum.clientAuth"] == "need"
    assert found["ssl.trustStore.location"] != found["ssl.quorum.trustStore.location"]
    for prefix in ("ssl", "ssl.quorum"):
        assert found[f"{prefix}.enabledProtocols"] == "TLSv1.3"


def test_a_member_alone_has_no_quorum() -> None:
    alone = lines(zookeeper.zoo_cfg("argus", 1, "tls"))
    assert alone["secureClientPort"] == str(zookeeper.SECURE_CLIENT)
    assert not any("uorum" in key and key != "quorumListenOnAllIPs" for key in alone)


def test_each_authority_is_of_its_own_stays_and_signs_for_these_alone(pulumi_mocks: Any) -> None:
    def program() -> None:
        args = ZookeeperIdentitiesArgs(namespace="argus", hosts=["*.zookeeper"], section=PodSecrets(redraw="today"))
        ZookeeperIdentities("identities", args)

    pulumi_mocks.run(program)
    commands = {each.name: each for each in pulumi_mocks.resources if each.type == "command:local:Command"}
    assert {name: each.inputs["create"].partition(" ")[2].partition(" ")[2] for name, each in commands.items()} == {
        "identities-authority": "authority argus-zookeeper",
        "identities-quorum-authority": "authority argus-zookeeper-quorum",
        "identities-member-certificate": "identity zookeeper '*.zookeeper'",
        "identities-quorum-certificate": "identity zookeeper",
        "identities-kafka-certificate": "identity kafka",
    }
    for name, each in commands.items():
        assert each.secret_outputs == {"stdout"}
        assert each.inputs["logging"] == "none"
        if name.endswith("authority"):
            assert each.ignore_changes == {"create"}
            assert "triggers" not in each.inputs
        else:
            assert "stdin" in each.secret_inputs
            assert each.inputs["triggers"][1:] == ["today"]
