"""Which images the API server admits, evaluated by Google's CEL for C++, in the policy that the program declares."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.pipeline.image_policy import admitted, policy_spec
from components.pipeline.network_policies import ELSEWHERE
from components.pipeline.stages import STAGES, every_image
from tests.unit.components.conftest import Program, Recorder
from tests.unit.components.pipeline.test_driver_policy import evaluate
from tests.unit.components.test_pinned_images import images_in
from tests.unit.components.test_signatures import digests_of, strict
from tests.unit.stacks import HOSTS

ONE, TWO, OTHER = (
    f"r.example.com/argus/ui:{tag}@sha256:{digit * 64}" for tag, digit in (("1", "a"), ("2", "b"), ("3", "c"))
)
OWN = {name: f"registry.example.com/{name}:1@sha256:{'a' * 64}" for name in every_image(STAGES)}
"""References of all images, because a preview does not know the digests of those that are built."""
POLICY = policy_spec(["argus"], [ONE, TWO])


def pod(*images: str, init: tuple[str, ...] = (), ephemeral: tuple[str, ...] = ()) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"image": each} for each in images]}
    if init:
        spec["initContainers"] = [{"image": each} for each in init]
    if ephemeral:
        spec["ephemeralContainers"] = [{"image": each} for each in ephemeral]
    return {"spec": spec}


def admits(new: Mapping[str, Any], old: Mapping[str, Any] | None = None, policy: Any = POLICY) -> bool:
    seen = {"object": new, "oldObject": old, "request": {"operation": "UPDATE" if old else "CREATE"}}
    variables = {each.name: evaluate(each.expression, **seen) for each in policy.variables}
    (validation,) = policy.validations
    return bool(evaluate(validation.expression, **seen, variables=variables))


@pytest.mark.parametrize(
    ("new", "well"),
    [
        (pod(ONE), True),
        (pod(ONE, TWO, init=(TWO,)), True),
        (pod(OTHER), False),
        (pod(ONE, OTHER), False),
        (pod(ONE, init=(OTHER,)), False),
        (pod(ONE.partition("@")[0]), False),
        (pod(ONE.replace(":1@", ":2@")), False),
    ],
    ids=str,
)
def test_a_pod_has_only_images_that_were_verified(new: dict[str, Any], well: bool) -> None:
    assert admits(new) is well


def test_a_running_pod_gets_no_other_image_and_what_it_has_stays() -> None:
    assert not admits(pod(OTHER), pod(ONE))
    assert not admits(pod(ONE, ephemeral=(OTHER,)), pod(ONE))
    assert admits(pod(TWO), pod(ONE))
    # A pod from before the policy is still labelled, and deleted.
    assert admits(pod(OTHER), pod(OTHER))


def test_what_is_not_admitted_is_named() -> None:
    (validation,) = POLICY.validations
    # `join` is Kubernetes' own, so only what it joins is evaluated here.
    refused = validation.message_expression.partition(" + ")[2].partition(".join(")[0]
    variables = {"wanted": [ONE, OTHER], "had": [], "admitted": [ONE]}
    assert evaluate(refused, variables=variables) == [OTHER]
    assert validation.message_expression.startswith("'this stack has verified no image '")


def test_the_images_of_the_version_before_are_admitted_until_there_is_another() -> None:
    first = admitted([ONE], {})
    assert first == {"now": [ONE], "before": []}
    second = admitted([TWO], first)
    assert second == {"now": [TWO], "before": [ONE]}
    # The next update without a change changes nothing.
    assert admitted([TWO], second) == second
    assert admitted([OTHER], second) == {"now": [OTHER], "before": [TWO]}


def test_every_image_of_every_pod_is_admitted_and_the_policy_is_there_first(
    program: Program, pulumi_mocks: Recorder
) -> None:
    made = program(HOSTS, strict(digests_of(program, pulumi_mocks), overrides=OWN))
    policy = made.named("image-policy-policy").inputs["spec"]
    (selector,) = policy["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    namespaces = set(selector["values"])
    assert namespaces == {"argus", *ELSEWHERE.values()}
    listed = next(each["expression"] for each in policy["variables"] if each["name"] == "admitted")
    objects = [each for each in made.resources if each.type.startswith("kubernetes:")]
    there = [each for each in objects if each.inputs.get("metadata", {}).get("namespace") in namespaces]
    used = {image for each in there for image in images_in(each.inputs)}
    assert len(used) > 10
    assert [image for image in used if f"'{image}'" not in listed] == []
    top = [each for each in made.resources if not each.custom and each.parent is None]
    late = {each.name for each in top if "image-policy-binding" in each.depends_on}
    assert {each.name for each in top} - late == {"signatures", "cluster", "images", "image-policy"}
    assert {"argus", "keda", "vpa", "kafka", "ui", "consumer", "image-cache"} <= late


def test_without_signers_any_image_is_admitted(program: Program) -> None:
    assert not [each.name for each in program(HOSTS).resources if "image-policy" in each.name]
