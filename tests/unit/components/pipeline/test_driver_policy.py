"""What the API server admits of a driver, evaluated by Google's CEL for C++, on a pod that Spark made."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel

from components.pipeline.applications import job_name, labels_of
from components.pipeline.driver_policy import repository
from tests.unit.components.pipeline.conftest import Build

Pod = dict[str, Any]
EXECUTOR: Pod = json.loads(Path(__file__).with_name("executor-pod.json").read_text())
"""What Spark 4.2.0 sent to the API server for the model `objects`, whose driver's pod was `driver-0`
(tests/integration/spark/test_authentication.py compares it with what Spark makes)."""

DRIVER = "system:serviceaccount:argus:model-objects"
OWNER = "uid-of-driver-0"
KINDS = {name: cel.Type.DYN for name in ("object", "oldObject", "request", "variables")}


@pytest.fixture
def policy(build: Build) -> Any:
    """The policy's spec as the API server gets it."""
    return build()["ValidatingAdmissionPolicy/argus-drivers"].inputs["spec"]


def evaluate(expression: str, **variables: Any) -> Any:
    """The value of a CEL expression. Raises RuntimeError where CEL fails, as for a field that is not there."""
    given = {name: variables.get(name) for name in KINDS}
    return cel.NewEnv(variables=KINDS).compile(expression).eval(data=given).plain_value()


def refusals(
    policy: Any,
    pod: Pod | None,
    *,
    before: Pod | None = None,
    operation: str = "CREATE",
    user: str = DRIVER,
    extra: dict[str, Any] | None = None,
) -> list[str]:
    """What the API server would say to a request about a pod, as the policy's documentation says it is evaluated."""
    of_the_pod = {"authentication.kubernetes.io/pod-uid": [OWNER]} if extra is None else extra
    request = {"operation": operation, "userInfo": {"username": user, "extra": of_the_pod}}
    seen = {"object": pod, "oldObject": before, "request": request}
    if not all(evaluate(each["expression"], **seen) is True for each in policy["matchConditions"]):
        return []
    variables = {each["name"]: evaluate(each["expression"], **seen) for each in policy["variables"]}
    said = []
    for each in policy["validations"]:
        try:
            fine = evaluate(each["expression"], **seen, variables=variables) is True
        except RuntimeError:
            fine = policy["failurePolicy"] != "Fail"
        if not fine:
            said.append(each["message"])
    return said


def changed(*path: str | int, to: Any) -> Pod:
    """The executor with another value, or without one (None)."""
    pod = copy.deepcopy(EXECUTOR)
    inner: Any = pod
    for step in path[:-1]:
        inner = inner[step] if isinstance(step, int) else inner.setdefault(step, {})
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return pod


def more(*path: str | int, than: Any) -> Pod:
    """The executor with one more item in a list."""
    inner: Any = EXECUTOR
    for step in path:
        inner = inner.get(step, []) if isinstance(inner, dict) else inner[step]
    return changed(*path, to=[*inner, than])


SPEC = ("spec", "containers", 0)
LABELS = ("metadata", "labels")
BAD: dict[str, Pod] = {
    "another image": changed(*SPEC, "image", to="consumer:0a1b2c3d4e5f"),
    "an image elsewhere": changed(*SPEC, "image", to="evil.example/spark:0a1b2c3d4e5f"),
    "an image whose name begins the same": changed(*SPEC, "image", to="spark-evil:1"),
    "a folder of the image's name": changed(*SPEC, "image", to="spark/evil:1"),
    "a second container": more("spec", "containers", than={**EXECUTOR["spec"]["containers"][0], "name": "b"}),
    "an init container": changed("spec", "initContainers", to=[EXECUTOR["spec"]["containers"][0]]),
    "an ephemeral container": changed("spec", "ephemeralContainers", to=[EXECUTOR["spec"]["containers"][0]]),
    "another model's labels": changed(*LABELS, "app.kubernetes.io/name", to="model-motion"),
    "the labels of a broker": changed(*LABELS, "app.kubernetes.io/name", to="kafka"),
    "a driver's labels": changed(*LABELS, "app.kubernetes.io/component", to="driver"),
    "no labels": changed(*LABELS, to=None),
    "no name": changed(*LABELS, "app.kubernetes.io/name", to=None),
    "the driver's account": changed("spec", "serviceAccountName", to="model-objects"),
    "the page's account": changed("spec", "serviceAccountName", to="ui"),
    "an account's token": changed("spec", "automountServiceAccountToken", to=True),
    "an account's token unsaid": changed("spec", "automountServiceAccountToken", to=None),
    "a token by a volume": more(
        "spec", "volumes", than={"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    ),
    "a machine's folder": more("spec", "volumes", than={"name": "h", "hostPath": {"path": "/"}}),
    "another Secret": more("spec", "volumes", than={"name": "s", "secret": {"secretName": "ui-access"}}),
    "another model's Secret": more(
        "spec", "volumes", than={"name": "s", "secret": {"secretName": "model-motion-rpc-0123456789abcdef"}}
    ),
    "the Secret of a model whose name begins the same": more(
        "spec", "volumes", than={"name": "s", "secret": {"secretName": "model-objects-2-rpc-0123456789abcdef"}}
    ),
    "a ConfigMap": more("spec", "volumes", than={"name": "c", "configMap": {"name": "kafka"}}),
    "a claim": more("spec", "volumes", than={"name": "p", "persistentVolumeClaim": {"claimName": "data-kafka-0"}}),
    "a Secret as a variable": more(
        *SPEC, "env", than={"name": "K", "valueFrom": {"secretKeyRef": {"name": "ui-access", "key": "key"}}}
    ),
    "a ConfigMap as a variable": more(
        *SPEC, "env", than={"name": "K", "valueFrom": {"configMapKeyRef": {"name": "kafka", "key": "key"}}}
    ),
    "a Secret as all variables": changed(*SPEC, "envFrom", to=[{"secretRef": {"name": "ui-access"}}]),
    "a Secret for the registry": changed("spec", "imagePullSecrets", to=[{"name": "ui-access"}]),
    "the machine's network": changed("spec", "hostNetwork", to=True),
    "the machine's processes": changed("spec", "hostPID", to=True),
    "the machine's memory": changed("spec", "hostIPC", to=True),
    "a port of the machine": changed(*SPEC, "ports", to=[{"containerPort": 7079, "hostPort": 7079}]),
    "privileged": changed(*SPEC, "securityContext", "privileged", to=True),
    "escalation": changed(*SPEC, "securityContext", "allowPrivilegeEscalation", to=True),
    "a capability": changed(*SPEC, "securityContext", "capabilities", "add", to=["NET_ADMIN"]),
    "no security context": changed(*SPEC, "securityContext", to=None),
    "a priority": changed("spec", "priorityClassName", to="system-node-critical"),
    "nobody's": changed("metadata", "ownerReferences", to=None),
    "of nobody": changed("metadata", "ownerReferences", to=[]),
    "another pod's": changed("metadata", "ownerReferences", 0, "uid", to="uid-of-another"),
    "another kind's": changed("metadata", "ownerReferences", 0, "kind", to="Deployment"),
}


def test_an_executor_that_spark_makes_is_admitted_changed_and_deleted(policy: Any) -> None:
    assert refusals(policy, EXECUTOR) == []
    stopped = changed(*LABELS, "spark-exec-inactive", to="true")
    placed = changed("spec", "nodeName", to="worker1")
    assert refusals(policy, stopped, before=placed, operation="UPDATE") == []
    assert refusals(policy, None, before=placed, operation="DELETE") == []


def test_any_version_of_the_image_is_admitted_because_two_drivers_work_side_by_side(policy: Any) -> None:
    for tag in ("", ":1", ":0a1b2c3d4e5f", f":1@sha256:{'0a' * 32}", f"@sha256:{'0a' * 32}"):
        assert refusals(policy, changed(*SPEC, "image", to=f"spark{tag}")) == [], tag


def test_the_secret_of_the_driver_before_is_admitted(policy: Any) -> None:
    volume = {"name": "s", "secret": {"secretName": "model-objects-rpc-fedcba9876543210"}}
    assert refusals(policy, more("spec", "volumes", than=volume)) == []


@pytest.mark.parametrize("pod", BAD.values(), ids=BAD)
def test_nothing_else_is_admitted(policy: Any, pod: Pod) -> None:
    assert refusals(policy, pod) != []
    # An owner cannot be checked later: a driver's successor may have it changed.
    if pod["metadata"].get("ownerReferences") == EXECUTOR["metadata"]["ownerReferences"]:
        assert refusals(policy, pod, before=EXECUTOR, operation="UPDATE") != []


@pytest.mark.parametrize("name", ["another model's labels", "the labels of a broker", "a driver's labels", "no labels"])
def test_a_driver_neither_changes_nor_deletes_pods_of_others(policy: Any, name: str) -> None:
    assert refusals(policy, None, before=BAD[name], operation="DELETE") != []
    assert refusals(policy, EXECUTOR, before=BAD[name], operation="UPDATE") != []


def test_a_token_that_is_no_pod_s_makes_no_executor(policy: Any) -> None:
    for extra in ({}, {"authentication.kubernetes.io/pod-uid": ["uid-of-another"]}):
        assert refusals(policy, EXECUTOR, extra=extra) != []


def test_only_drivers_are_bound(policy: Any) -> None:
    (condition,) = policy["matchConditions"]
    for user in ("kubernetes-admin", "system:serviceaccount:other:model-objects", "system:serviceaccount:argus:ui"):
        assert evaluate(condition["expression"], request={"userInfo": {"username": user}}) is False
    assert evaluate(condition["expression"], request={"userInfo": {"username": DRIVER}}) is True


def test_every_driver_is_bound_before_it_has_an_account(build: Build, policy: Any) -> None:
    objects = build()
    (condition,) = policy["matchConditions"]
    for model in ("objects", "motion"):
        account = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]["spec"]["serviceAccountName"]
        assert account == job_name(model) == labels_of(model, "executor")["app.kubernetes.io/name"]
        user = f"system:serviceaccount:argus:{account}"
        assert evaluate(condition["expression"], request={"userInfo": {"username": user}}) is True
        assert "driver-policy-binding" in objects[f"Deployment/model-{model}"].depends_on
    binding = objects["ValidatingAdmissionPolicyBinding/argus-drivers"].inputs["spec"]
    assert binding == {"policyName": "argus-drivers", "validationActions": ["Deny"]}
    assert policy["failurePolicy"] == "Fail"
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert set(rule["operations"]) == {"CREATE", "UPDATE", "DELETE"}
    assert rule["resources"] == ["pods"]


def test_no_other_account_begins_like_a_driver_s(build: Build) -> None:
    accounts = {key.partition("/")[2] for key in build() if key.startswith("ServiceAccount/")}
    assert {name for name in accounts if name.startswith("model-")} == {"model-objects", "model-motion"}


def test_the_repository_of_an_image() -> None:
    for reference in ("r:5000/argus/spark", "r:5000/argus/spark:1", "r:5000/argus/spark:1@sha256:00"):
        assert repository(reference) == "r:5000/argus/spark"
    assert (repository("spark"), repository("spark:1")) == ("spark", "spark")
