"""docs/flows.md says what the network policies allow, and what the servers ask of their clients."""

from typing import Any

import pytest

from components import kubernetes as k
from components.config.sections import Kafka, Model, PodSecrets
from components.pipeline import applications, elasticsearch_peers, flows, kafka, model_job, scraping, zookeeper
from components.pipeline.network_policies import OPEN, OPEN_BY_CONFIG
from components.pipeline.network_policies import flows as allowed
from tests.unit.components.conftest import ROOT, Program
from tests.unit.stacks import LAB

MODEL = "NAME"


def asks(server: str, port: int) -> tuple[bool, bool]:
    """Whether the page says that the port asks who connects, and that it is encrypted."""
    door = flows.DOORS[server, port]
    return door.identity != "no", door.encrypted != "no"


def test_the_page_is_what_the_policies_allow() -> None:
    assert (ROOT / "docs/flows.md").read_text() == flows.page(), "run `make docs`"


def test_every_port_that_somebody_may_reach_is_described_and_no_other() -> None:
    reached = {
        (flow.server, port) for flow in allowed([MODEL], "both", "both", "both", (9300, 9301)) for port in flow.ports
    }
    assert set(flows.DOORS) == reached | {*OPEN.items(), *OPEN_BY_CONFIG.items()}


def test_every_allowed_connection_is_in_the_page() -> None:
    rows = [row.split(" | ") for row in flows.page().splitlines() if row.startswith("| ")]
    said = {(client, cells[1], cells[2]) for cells in rows for client in cells[0].removeprefix("| ").split(", ")}
    needed = allowed([MODEL], "both", "both", "both", (9300, 9301))
    assert {(flow.client, flow.server, str(port)) for flow in needed for port in flow.ports} <= said


def test_kafka_and_zookeeper_ask_for_what_the_page_says() -> None:
    listeners = {name: port for name, port in kafka.ports("both").items()}
    assert asks("kafka", listeners["PLAINTEXT"]) == (False, False)
    assert asks("kafka", listeners["SSL"]) == (True, True)
    properties = kafka.server_properties("zookeeper:2181", Kafka(transport="both"), "both")
    assert "ssl.client.auth=required" in properties.splitlines()
    assert asks("zookeeper", zookeeper.CLIENT) == (False, False)
    config = zookeeper.zoo_cfg("argus", 3, "tls").splitlines()
    for port, lines in {
        zookeeper.SECURE_CLIENT: ("ssl.clientAuth=need", f"secureClientPort={zookeeper.SECURE_CLIENT}"),
        zookeeper.QUORUM: ("ssl.quorum.clientAuth=need", "sslQuorum=true"),
        zookeeper.ELECTION: ("ssl.quorum.clientAuth=need", "sslQuorum=true"),
    }.items():
        asked, encrypted = (line in config for line in lines)
        assert (asked, encrypted) == asks("zookeeper", port) == (True, True)


def test_spark_asks_for_what_the_page_says() -> None:
    model = Model.model_validate({"name": "motion", "kind": "motion"})
    args = model_job.ModelJobArgs(
        namespace="argus",
        image="spark",
        bootstrap_servers="kafka:9092",
        topics="kafka:9092",
        models=[model],
        max_message_bytes=2_000_000,
        ungated_cameras=[],
        secrets=PodSecrets(),
        policy="drivers",
        scraped=scraping.Scraped(variables={}, mounts=[], volumes=[]),
    )
    properties = model_job.spark_properties("model-motion", "argus", "spark", args)
    driver = applications.pods_of(MODEL, "driver")
    asked = "spark.authenticate true" in properties
    assert (asked, asked) == asks(driver, model_job.DRIVER_PORT) == asks(driver, model_job.BLOCK_PORT)


def test_producers_and_consumers_ask_for_what_the_page_says(program: Program) -> None:
    given = {
        each.inputs["metadata"]["name"]: each.inputs.get("data", {})
        for each in program(LAB).resources
        if each.type.endswith(":ConfigMap")
    }
    for server, name in (("producer", "producer-0-environment"), ("consumer", "consumer")):
        settings = given[name]
        asked = "ARGUS_TOKEN_FILE" in settings, "ARGUS_TLS_DIR" in settings
        assert asked == asks(server, int(settings["ARGUS_HTTP_PORT"])) == (True, True)


def test_metrics_ask_for_what_the_page_says(program: Program) -> None:
    """Filebeat's, which the page reads, as those of all pods, which nobody of the stack reads."""
    given = {
        container["name"]: container
        for each in program(LAB).resources
        if each.type.endswith((":Deployment", ":StatefulSet"))
        for container in each.inputs["spec"]["template"]["spec"]["containers"]
        if any(int(port["containerPort"]) == k.METRICS_PORT for port in container.get("ports", ()))
    }
    assert given.keys() == {"producer", "consumer", "driver", "ui", "metrics"}
    for container in given.values():
        assert scraping.DIR in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert asks("filebeat", k.METRICS_PORT) == (True, True)
    assert f"Metrics of the same pods and drivers are at {k.METRICS_PORT}, over TLS 1.3" in flows.page()


def test_elasticsearch_asks_for_what_the_page_says(program: Program) -> None:
    (nodes,) = [
        each.inputs
        for each in program(LAB).resources
        if each.type.endswith(":StatefulSet") and each.inputs["metadata"]["name"] == "elasticsearch"
    ]
    environment: dict[str, Any] = {
        each["name"]: each.get("value") for each in nodes["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    secured = environment["xpack.security.enabled"] == "true"
    assert (secured, secured) == asks("elasticsearch", 9200) == asks("elasticsearch", 9300)
    config = elasticsearch_peers.nginx_conf(["10.96.0.2"])
    asked = f"listen {elasticsearch_peers.DOOR} ssl" in config, "ssl_verify_client on;" in config
    assert asked == asks("elasticsearch", elasticsearch_peers.DOOR) == (True, True)


@pytest.mark.parametrize(("kind", "port"), (OPEN | OPEN_BY_CONFIG).items())
def test_what_every_address_reaches_is_encrypted_or_asks_for_a_login(kind: str, port: int) -> None:
    assert any(asks(kind, port))
