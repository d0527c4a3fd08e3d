"""What can be seen without a cluster of the CIS benchmark's items, and that docs/cis.md says what tests/cis.py says."""

import ast
from typing import Any

import pytest
import yaml

from components.cluster.kubeadm import authentication_config, init_config
from tests import cis
from tests.unit.components.cluster.conftest import cluster_section, machine
from tests.unit.components.conftest import ROOT, Program

STACKS = ("Pulumi.dev.yaml", "Pulumi.prod.yaml")
PROGRAMS = {"apiServer": "apiserver", "controllerManager": "controller manager", "scheduler": "scheduler"}


def cluster() -> dict[str, Any]:
    """kubeadm's ClusterConfiguration."""
    documents = yaml.safe_load_all(init_config(cluster_section(), machine("cp1", "192.0.2.11")))
    found: dict[str, Any] = next(each for each in documents if each["kind"] == "ClusterConfiguration")
    return found


def flags(program: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in cluster()[program]["extraArgs"]}


def test_the_page_is_what_the_list_says() -> None:
    assert (ROOT / "docs/cis.md").read_text() == cis.table(), "run `make docs`"


@pytest.mark.parametrize("item", [item for item in cis.ITEMS if item.test], ids=lambda item: item.number)
def test_an_item_that_holds_names_a_test_that_there_is(item: cis.Item) -> None:
    file, _, function = item.test.partition("::")
    tests = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert function in tests if function else tests


@pytest.mark.parametrize("item", [item for item in cis.ITEMS if not item.test], ids=lambda item: item.number)
def test_an_item_that_does_not_hold_says_why(item: cis.Item) -> None:
    assert item.why


def test_no_item_is_there_twice() -> None:
    numbers = [item.number for item in cis.ITEMS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_tells_its_profile(program: str) -> None:
    assert flags(program)["profiling"] == "false"


def test_without_an_identity_only_health_and_cluster_info_answer() -> None:
    config = yaml.safe_load(authentication_config())
    assert config["anonymous"]["enabled"] is True
    paths = [condition["path"] for condition in config["anonymous"]["conditions"]]
    cluster_info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    assert sorted(paths) == sorted(["/livez", "/readyz", "/healthz", cluster_info])
    assert "anonymous-auth" not in flags("apiServer"), "an API server refuses both"
    assert flags("apiServer")["authentication-config"] in {
        volume["mountPath"] for volume in cluster()["apiServer"]["extraVolumes"]
    }


def test_the_api_server_knows_its_kubelets_and_admits_no_external_addresses() -> None:
    given = flags("apiServer")
    assert given["kubelet-certificate-authority"] == "/etc/kubernetes/pki/ca.crt"
    assert set(given["enable-admission-plugins"].split(",")) == {"NodeRestriction", "DenyServiceExternalIPs"}
    assert given["tls-min-version"] == "VersionTLS13"


def test_the_audit_log_is_kept_as_long_as_the_benchmark_asks() -> None:
    given = flags("apiServer")
    kept = {name: int(given[f"audit-log-max{name}"]) for name in ("age", "backup", "size")}
    assert kept == {"age": 30, "backup": 10, "size": 100}


def keys_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_in(inner) for inner in value.values()))
    return set().union(*map(keys_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("stack", STACKS)
def test_secrets_reach_pods_as_files_only(program: Program, stack: str) -> None:
    workloads = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    found = [each for each in program(ROOT / stack).resources if each.inputs.get("kind") in workloads]
    assert found
    assert [each.name for each in found if keys_in(each.inputs) & {"secretKeyRef", "secretRef"}] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_namespace_that_argus_makes_has_pod_security_labels(program: Program, stack: str) -> None:
    namespaces = program(ROOT / stack).of_type("kubernetes:core/v1:Namespace")
    assert namespaces
    for namespace in namespaces:
        labels = namespace.inputs["metadata"]["labels"]
        for mode in ("enforce", "warn", "audit"):
            assert labels[f"pod-security.kubernetes.io/{mode}"] in {"restricted", "baseline"}
            assert labels[f"pod-security.kubernetes.io/{mode}-version"].startswith("v1.")
