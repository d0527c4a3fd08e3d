"""docs/edits.md has a row for every key, and its comparison finds what would lose data.

tests/integration/test_edits.py makes all changes; here are those of the keys that a stack keeps for life.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components.config import lasting, load_values, reference
from components.recorder import Registered
from tests import edits
from tests.edits import SAMPLES, compare, holds_data
from tests.unit.components.conftest import ROOT

PAGE = ROOT / "docs/edits.md"


def read_page() -> str:
    assert PAGE.exists(), "there is no docs/edits.md: run `make docs`"
    return PAGE.read_text()


SET = Registered(
    type="kubernetes:apps/v1:StatefulSet",
    name="kafka-brokers",
    custom=True,
    parent="kafka",
    inputs={
        "metadata": {"name": "kafka"},
        "spec": {
            "replicas": 3,
            "serviceName": "kafka",
            "volumeClaimTemplates": [{"spec": {"storageClassName": "argus-local"}}],
            "template": {"spec": {"containers": [{"image": "kafka:1"}]}},
        },
    },
    secret_inputs=frozenset(),
    secret_outputs=frozenset(),
    depends_on=frozenset(),
    ignore_changes=frozenset(),
    urn="urn:pulumi:test::argus::argus:pipeline:Kafka$kubernetes:apps/v1:StatefulSet::kafka-brokers",
)


def changed(resource: Registered, **spec: Any) -> Registered:
    return replace(resource, inputs={**resource.inputs, "spec": {**resource.inputs["spec"], **spec}})


def test_every_key_has_a_change() -> None:
    assert set(SAMPLES) == set(reference.keys()), "tests/edits.py: give each key a value to change it to"
    assert all(SAMPLES.values())


def test_the_page_has_a_row_for_each_change_of_each_key() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", read_page(), re.MULTILINE)
    every = reference.keys()
    assert rows == [key for key in every for _ in SAMPLES[key]], "run `make docs`"


def test_what_is_said_of_keys_is_said_of_keys_that_there_are() -> None:
    assert edits.DESTROYS.keys() | edits.NOTES.keys() <= set(reference.keys())


@pytest.mark.parametrize(
    "spec",
    [
        {"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]},
        {"volumeClaimTemplates": []},
        {"serviceName": "brokers"},
        {"podManagementPolicy": "OrderedReady"},
        {"selector": {"matchLabels": {"app": "kafka"}}},
    ],
)
def test_what_replaces_a_stateful_set_is_found(spec: dict[str, Any]) -> None:
    effect = compare([SET], [changed(SET, **spec)])
    assert [each.name for each in effect.lost] == ["kafka-brokers"]


def test_what_is_deleted_is_found_and_what_is_updated_or_ignored_is_not() -> None:
    assert [each.name for each in compare([SET], []).lost] == ["kafka-brokers"]
    restarted = compare([SET], [changed(SET, template={"spec": {"containers": [{"image": "kafka:2"}]}})])
    assert (restarted.lost, len(restarted.restarted)) == ([], 1)
    more = compare([SET], [changed(SET, replicas=4)])
    assert (more.lost, more.restarted, len(more.updated)) == ([], [], 1)
    kept = replace(changed(SET, volumeClaimTemplates=[]), ignore_changes=frozenset({"spec.volumeClaimTemplates"}))
    assert compare([SET], [kept]) == compare([SET], [SET]) == compare([], [])


def test_another_trigger_runs_the_undo_of_a_machine() -> None:
    undo = replace(
        SET,
        type="command:local:Command",
        inputs={"delete": "undo", "triggers": ["192.0.2.21"]},
        urn="urn:pulumi:test::argus::argus:cluster:Removal$command:local:Command::undo",
    )
    moved = replace(undo, inputs={"delete": "undo", "triggers": ["192.0.2.39"]})
    assert holds_data(undo)
    assert len(compare([undo], [moved]).lost) == 1
    assert compare([undo], [replace(undo, inputs={**undo.inputs, "delete": "better"})]).lost == []


def test_what_cannot_change_is_made_anew_with_an_object_that_is_deleted_before() -> None:
    job = changed(replace(SET, type="kubernetes:batch/v1:Job", urn="urn:job"), template={"image": "rules:1"})
    again = changed(job, template={"image": "rules:2"})
    metadata = {"name": "environment"}
    frozen = replace(
        SET,
        type="kubernetes:core/v1:ConfigMap",
        inputs={"metadata": metadata, "data": {}, "immutable": True},
        urn="urn:frozen",
        sources={"data": frozenset({job.urn})},
    )
    mutable = replace(frozen, inputs={"metadata": metadata, "data": {}}, urn="urn:mutable")
    reader = replace(mutable, urn="urn:reader", sources={"data": frozenset({frozen.urn})})
    readers = [frozen, mutable, reader]
    assert compare([job, *readers], [again, *readers]).replaced == [again, frozen]
    renamed = replace(again, inputs={**again.inputs, "metadata": {"name": "other"}})
    assert compare([job, *readers], [renamed, *readers]).replaced == [renamed]


@pytest.fixture(scope="module")
def program() -> Iterator[tuple[edits.Program, Any]]:
    with edits.at_home():
        yield edits.brought_up()


def test_a_second_update_changes_nothing(program: tuple[edits.Program, Any]) -> None:
    up, before = program
    assert compare(before.resources, up.run(edits.stack()).resources) == compare([], [])


@pytest.mark.parametrize(
    "key", ["storage.className", "cluster.podNetwork", "zookeeper.replicas", "kafka.volumeGiB", "consumer.volumeGiB"]
)
def test_the_page_says_what_a_change_does(program: tuple[edits.Program, Any], key: str) -> None:
    page, (up, before) = read_page(), program
    for sample in SAMPLES[key]:
        effect = up.effect(sample, before)
        row = edits.row(key, sample, effect)
        assert row in page.splitlines(), "run `make docs`"
        assert effect.lost == []
        read = edits.Row(refused=effect.refused, claims=edits.claims(effect), data=edits.data(key, effect))
        assert edits.read_rows(row) == {key: [read]}


def test_every_key_that_a_stack_keeps_has_a_change_that_is_refused() -> None:
    """As the page has it; test_the_page_says_what_a_change_does makes some of them."""
    refused = re.findall(r"^\| `([^`]+)` \| [^|]* \| \*\*refused\*\*: argus:([\w.]+): ", read_page(), re.MULTILINE)
    with edits.at_home():
        assert {key for key, named in refused if key == named} >= lasting.of(load_values(edits.stack())).keys()
