"""Which requests the audit policy logs, by its rules as the API server matches them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import components.cluster

POLICY = yaml.safe_load((Path(components.cluster.__file__).parent / "audit-policy.yaml").read_text())
ADMIN = ("kubernetes-admin", "kubeadm:cluster-admins")
NODE = ("system:node:worker1", "system:nodes")
CONTROLLERS = ("system:serviceaccount:kube-system:endpointslice-controller", "system:serviceaccounts:kube-system")
DRIVER = ("system:serviceaccount:argus:model-objects", "system:serviceaccounts:argus")
MANAGER = ("system:kube-controller-manager", "system:authenticated")
Who = tuple[str, str]


def level(who: Who, verb: str, what: str) -> str:
    """The level of a request for `what`: a path, or a resource with its group (`/secrets`, `apps/deployments`)."""
    for rule in POLICY["rules"]:
        if _matches(rule, who, verb, what):
            return str(rule["level"])
    return "None"


def _matches(rule: dict[str, Any], who: Who, verb: str, what: str) -> bool:
    user, group = who
    if "users" in rule and user not in rule["users"]:
        return False
    if "userGroups" in rule and group not in rule["userGroups"]:
        return False
    if "verbs" in rule and verb not in rule["verbs"]:
        return False
    is_path = what.startswith("//")
    if "resources" in rule:
        api_group, _, resource = what.partition("/")
        return not is_path and any(
            each["group"] == api_group and resource in each.get("resources", [resource]) for each in rule["resources"]
        )
    if "nonResourceURLs" in rule:
        return is_path and any(what[1:].startswith(url.rstrip("*")) for url in rule["nonResourceURLs"])
    return True


@pytest.mark.parametrize(
    ("who", "verb", "what"),
    [
        (ADMIN, "create", "/namespaces"),
        (ADMIN, "patch", "apps/deployments"),
        (ADMIN, "update", "/secrets"),
        (ADMIN, "get", "/secrets"),
        (ADMIN, "create", "/configmaps"),
        (ADMIN, "get", "/pods/exec"),
        (ADMIN, "create", "/pods/exec"),
        (ADMIN, "get", "/nodes/proxy"),
        (ADMIN, "create", "rbac.authorization.k8s.io/clusterrolebindings"),
        (DRIVER, "create", "/pods"),
        (DRIVER, "list", "/secrets"),
        (CONTROLLERS, "update", "discovery.k8s.io/endpointslices"),
        (NODE, "create", "/serviceaccounts/token"),
        (MANAGER, "delete", "/pods"),
    ],
)
def test_changes_and_looks_at_secrets_are_written(who: Who, verb: str, what: str) -> None:
    assert level(who, verb, what) == "Metadata"


@pytest.mark.parametrize(
    ("who", "verb", "what"),
    [
        (NODE, "update", "coordination.k8s.io/leases"),
        (MANAGER, "update", "coordination.k8s.io/leases"),
        (NODE, "create", "/events"),
        (CONTROLLERS, "patch", "events.k8s.io/events"),
        (("system:anonymous", "system:unauthenticated"), "get", "//readyz"),
        (("system:anonymous", "system:unauthenticated"), "head", "//livez/ping"),
        (NODE, "create", "authentication.k8s.io/tokenreviews"),
        (NODE, "create", "authorization.k8s.io/subjectaccessreviews"),
        (NODE, "watch", "/secrets"),
        (NODE, "get", "/configmaps"),
        (CONTROLLERS, "list", "/secrets"),
        (MANAGER, "watch", "/pods"),
        (DRIVER, "watch", "/pods"),
        (ADMIN, "list", "/pods"),
        (ADMIN, "get", "//apis"),
    ],
)
def test_the_clusters_own_pulse_is_not(who: Who, verb: str, what: str) -> None:
    assert level(who, verb, what) == "None"


def test_no_body_is_ever_written() -> None:
    assert (POLICY["apiVersion"], POLICY["kind"]) == ("audit.k8s.io/v1", "Policy")
    assert {rule["level"] for rule in POLICY["rules"]} == {"None", "Metadata"}
    assert POLICY["rules"][-1] == {"level": "Metadata"}, "what no rule names is written"
