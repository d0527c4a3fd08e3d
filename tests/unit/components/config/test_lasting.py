"""Changes that would lose data, or break a cluster that runs, are refused with the key and the remedy."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from components.config import Settings
from components.config.lasting import goes_in_steps, of, refusals
from tests.unit.stacks import HOSTS, sections
from tests.unknown_key import UNKNOWN_KEY


@pytest.fixture
def stack(tmp_path: Path) -> dict[str, Any]:
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    return sections(HOSTS, key)


def lasting(stack: dict[str, Any], key: str = "", value: Any = None) -> dict[str, Any]:
    """What a stack with this change is to keep."""
    changed = {**stack}
    if key:
        section, name = key.split(".")
        changed[section] = {**stack.get(section, {}), name: value}
    return of(Settings.model_validate(changed))


@pytest.mark.parametrize(
    ("key", "old", "new", "says"),
    [
        ("cluster.endpoint", "192.0.2.10", "192.0.2.9", "the cluster is reached at 192.0.2.10"),
        ("cluster.endpointPort", 8443, 9443, "the cluster is reached at 8443"),
        ("cluster.podNetwork", "10.244.0.0/16", "10.240.0.0/16", "the cluster's is 10.244.0.0/16"),
        ("cluster.serviceNetwork", "10.96.0.0/16", "10.100.0.0/16", "the cluster's is 10.96.0.0/16"),
        ("cluster.schedulePodsOnControlPlanes", True, False, "control planes hold volumes"),
        ("storage.className", None, "fast", "the services' data are on Argus's own volumes"),
        ("storage.className", "fast", None, "volumes of the class fast, and do not move to those of Argus"),
        ("storage.className", "fast", "slow", "do not move to the class slow"),
        ("zookeeper.replicas", 3, 5, "the ensemble has 3 members; with 5"),
        ("zookeeper.replicas", 1, 3, "the ensemble has 1 members"),
        ("kafka.replicas", 5, 4, "there are 5 brokers"),
        ("kafka.replicas", 1, 3, "the topics have 1 copies"),
        ("kafka.replicas", 2, 3, "the topics have 2 copies"),
        ("kafka.transport", "plain", "prefer", "brokers and clients change one after the other"),
        ("kafka.transport", "plain", "tls", "a running stack goes from plain to both first"),
        ("kafka.transport", "tls", "both", "a running stack goes from tls to prefer first"),
        ("zookeeper.transport", "plain", "tls", "ZooKeeper's members and the brokers change one after the other"),
        ("zookeeper.transport", "tls", "both", "a running stack goes from tls to prefer first"),
        ("elasticsearch.replicas", 3, 1, "there are 3 nodes"),
        ("elasticsearch.replicas", 1, 3, "a node more could form a cluster of its own"),
        ("elasticsearch.transport", "plain", "tls", "a running stack goes from plain to both first"),
        ("elasticsearch.transport", "tls", "plain", "Elasticsearch's nodes and clients change one after the other"),
        ("elasticsearch.nodeTransport", "plain", "tls", "a running stack goes from plain to both first"),
        ("elasticsearch.nodeTransport", "tls", "both", "Elasticsearch's nodes change one after the other"),
        ("elasticsearch.replicas", 3, 7, "there are 3 nodes, which can reach 6; so go to 6 first"),
        ("zookeeper.volumeGiB", 2, 1, "a volume grows, but does not shrink"),
        ("kafka.volumeGiB", 200, 199, "a volume grows, but does not shrink"),
        ("elasticsearch.volumeGiB", 200, 100, "a volume grows, but does not shrink"),
        ("consumer.volumeGiB", 500, 10, "a volume grows, but does not shrink"),
    ],
)
def test_what_would_lose_data_is_refused(stack: dict[str, Any], key: str, old: Any, new: Any, says: str) -> None:
    before, after = lasting(stack, key, old), lasting(stack, key, new)
    # Numbers come back from Pulumi's state as floats.
    recorded = {name: float(value) if type(value) is int else value for name, value in before.items()}
    (found,) = refusals(recorded, after)
    assert found.startswith(f"argus:{key}: {says}") or says in found.partition(": ")[2]
    back = "remove the key" if old is None else f"set {str(old).lower()}"
    assert found.endswith(f"; {back} again, or `pulumi destroy` first")
    assert refusals(recorded, before) == []


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("cluster.schedulePodsOnControlPlanes", False, True),
        ("kafka.replicas", 3, 4),
        ("kafka.transport", "plain", "both"),
        ("kafka.transport", "prefer", "tls"),
        ("kafka.transport", "tls", "prefer"),
        ("zookeeper.transport", "plain", "both"),
        ("elasticsearch.replicas", 3, 4),
        ("elasticsearch.transport", "plain", "both"),
        ("elasticsearch.replicas", 3, 6),
        ("elasticsearch.transport", "both", "plain"),
        ("elasticsearch.nodeTransport", "plain", "both"),
        ("elasticsearch.nodeTransport", "both", "prefer"),
        ("elasticsearch.nodeTransport", "tls", "prefer"),
        ("kafka.volumeGiB", 200, 201),
        ("cluster.minimumDiskGiB", 20, 30),
    ],
)
def test_what_loses_nothing_is_free(stack: dict[str, Any], key: str, old: Any, new: Any) -> None:
    assert refusals(lasting(stack, key, old), lasting(stack, key, new)) == []


def test_volumes_of_a_class_of_one_s_own_keep_their_size(stack: dict[str, Any]) -> None:
    stack["storage"] = {"className": "fast"}
    (found,) = refusals(lasting(stack, "kafka.volumeGiB", 200), lasting(stack, "kafka.volumeGiB", 300))
    assert found.startswith("argus:kafka.volumeGiB: the services' volumes of the class fast keep the size")
    # Control planes hold none then.
    key = "cluster.schedulePodsOnControlPlanes"
    assert refusals(lasting(stack, key, True), lasting(stack, key, False)) == []


def test_a_stack_that_recorded_nothing_is_free(stack: dict[str, Any]) -> None:
    now = lasting(stack)
    assert refusals({}, now) == []
    stack["elasticsearch"] = {**stack.get("elasticsearch", {}), "transport": "plain"}
    plain = lasting(stack, "kafka.transport", "plain")
    assert refusals({"kafka.volumeGiB": plain["kafka.volumeGiB"]}, plain) == []


def without(now: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What a version recorded that did not know these keys."""
    return {key: value for key, value in now.items() if key not in keys}


def test_a_stack_of_a_version_without_tls_is_in_plain_and_a_new_one_begins_as_it_likes(stack: dict[str, Any]) -> None:
    now = lasting(stack, "kafka.transport", "tls")
    earlier = without(now, "kafka.transport", "zookeeper.transport")
    # ZooKeeper goes with Kafka, and is not named beside it.
    (found,) = refusals(earlier, now)
    assert found.startswith("argus:kafka.transport: ")
    assert refusals(earlier, lasting(stack, "kafka.transport", "both")) == []
    assert refusals({}, now) == []


@pytest.mark.parametrize("transport", ["prefer", "tls"])
def test_where_kafka_went_ahead_of_zookeeper_that_follows_in_steps_of_its_own(
    stack: dict[str, Any], transport: str
) -> None:
    """Earlier versions left ZooKeeper in plain."""
    now = lasting(stack, "kafka.transport", transport)
    earlier = without(now, "zookeeper.transport")
    (found,) = refusals(earlier, now)
    assert found.startswith("argus:zookeeper.transport: ")
    assert "from plain to both first" in found and "unset, this key is what kafka.transport is" in found
    stack["kafka"] = {**stack.get("kafka", {}), "transport": transport}
    steps = [lasting(stack, "zookeeper.transport", each) for each in ("both", "prefer", "tls")]
    for before, after in itertools.pairwise([earlier, *steps]):
        assert refusals(before, after) == []
        assert goes_in_steps(before, after)
    assert refusals(earlier, lasting(stack, "zookeeper.transport", "plain")) == []


def test_zookeeper_goes_with_kafka_at_the_first_step(stack: dict[str, Any]) -> None:
    both = lasting(stack, "kafka.transport", "both")
    assert both["zookeeper.transport"] == "both"
    assert refusals(without(both, "zookeeper.transport"), both) == []


def test_more_nodes_of_elasticsearch_count_only_once_they_are_there(stack: dict[str, Any]) -> None:
    """From 3 to 12 by way of 6 that never became ready would leave out those that the first 3 cannot reach."""
    three, six = (lasting(stack, "elasticsearch.replicas", number) for number in (3, 6))
    assert refusals(three, six) == [] and goes_in_steps(three, six) and not goes_in_steps(three, three)


def test_the_way_to_kafka_counts_only_at_the_end_of_the_update_that_changes_it(stack: dict[str, Any]) -> None:
    plain, both = (lasting(stack, "kafka.transport", value) for value in ("plain", "both"))
    for earlier in (plain, without(plain, "kafka.transport", "zookeeper.transport")):
        assert goes_in_steps(earlier, both) and not goes_in_steps(earlier, plain)
    # The first update of a stack goes to no next step, and its other outputs are wanted soon.
    assert not goes_in_steps({}, both)


def test_the_way_to_elasticsearch_is_in_plain_where_an_earlier_version_recorded_none(stack: dict[str, Any]) -> None:
    plain, both, tls = (lasting(stack, "elasticsearch.transport", value) for value in ("plain", "both", "tls"))
    earlier = without(plain, "elasticsearch.transport")
    assert refusals(earlier, both) == [] and goes_in_steps(earlier, both)
    assert refusals(earlier, plain) == [] and not goes_in_steps(earlier, plain)
    (found,) = refusals(earlier, tls)
    assert found.startswith("argus:elasticsearch.transport: ")
    assert refusals({}, tls) == []


@pytest.mark.parametrize("change", [("both", "tls"), ("tls", "both")])
def test_elasticsearch_s_nodes_take_a_step_more_than_its_clients(
    stack: dict[str, Any], change: tuple[str, str]
) -> None:
    old, new = (lasting(stack, "elasticsearch.transport", each) for each in change)
    (found,) = refusals(old, new)
    assert found.startswith("argus:elasticsearch.nodeTransport: ") and f"from {change[0]} to prefer first" in found
    assert "unset, this key is what elasticsearch.transport is" in found
    stack["elasticsearch"] = {**stack.get("elasticsearch", {}), "nodeTransport": "prefer"}
    first, second = (lasting(stack, "elasticsearch.transport", each) for each in change)
    for earlier, later in itertools.pairwise([old, first, second, new]):
        assert refusals(earlier, later) == []


def test_elasticsearch_s_nodes_of_an_earlier_version_are_in_plain(stack: dict[str, Any]) -> None:
    tls = lasting(stack, "elasticsearch.transport", "tls")
    earlier = without(tls, "elasticsearch.nodeTransport")
    (found,) = refusals(earlier, tls)
    assert found.startswith("argus:elasticsearch.nodeTransport: ")
    plain, both = (lasting(stack, "elasticsearch.nodeTransport", each) for each in ("plain", "both"))
    assert refusals(earlier, plain) == [] and not goes_in_steps(earlier, plain)
    assert refusals(earlier, both) == [] and goes_in_steps(earlier, both)


def test_a_node_that_is_alone_needs_no_steps(stack: dict[str, Any]) -> None:
    stack["elasticsearch"] = {**stack.get("elasticsearch", {}), "replicas": 1}
    tls = lasting(stack, "elasticsearch.transport", "tls")
    assert refusals(without(tls, "elasticsearch.nodeTransport"), tls) == []


def test_a_node_in_plain_reaches_any_other(stack: dict[str, Any]) -> None:
    stack["elasticsearch"] = {**stack.get("elasticsearch", {}), "nodeTransport": "plain"}
    assert refusals(lasting(stack, "elasticsearch.replicas", 3), lasting(stack, "elasticsearch.replicas", 9)) == []


def test_every_volume_is_recorded(stack: dict[str, Any]) -> None:
    assert {key.partition(".")[0] for key in lasting(stack) if key.endswith(".volumeGiB")} == {
        "zookeeper",
        "kafka",
        "elasticsearch",
        "consumer",
    }
