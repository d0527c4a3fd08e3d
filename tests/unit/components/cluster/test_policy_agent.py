"""Network policies beside Argus's own network: what the program is given, and nothing of it where nobody wants it."""

from pathlib import Path
from typing import Any

import pytest

from components.cluster import policy_agent
from components.config import load_values
from components.pipeline.rules import rules
from components.pipeline.stages import STAGES, every_image
from tests.unit.components.answers import unpacked
from tests.unit.components.conftest import Program, Recorder
from tests.unit.components.published_schema import mistakes_of
from tests.unit.stacks import HOSTS, LAB, sections
from tests.unknown_key import UNKNOWN_KEY


@pytest.fixture
def enforcing(program: Program) -> Recorder:
    """The whole program of a stack that says nothing of policies."""
    recorder: Recorder = program(HOSTS)
    return recorder


def objects(recorder: Recorder) -> dict[str, dict[str, Any]]:
    """What the component makes in the cluster, by kind."""
    made = [each.inputs for each in recorder.children("policy-agent")]
    assert [text for each in made for text in mistakes_of(each)] == []
    return {each["kind"]: each for each in made}


def pod(recorder: Recorder) -> dict[str, Any]:
    spec: dict[str, Any] = objects(recorder)["DaemonSet"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("stack", [HOSTS, LAB], ids=lambda file: file.stem)
@pytest.mark.parametrize(
    "cluster",
    [{"networkPolicies": "declared"}, {"network": {"manifest": "tests/e2e/kube-router.yaml"}}],
    ids=["declared", "another network"],
)
def test_a_stack_that_does_not_want_it_gets_no_part_of_it(
    program: Program, cluster: dict[str, Any], stack: Path
) -> None:
    recorder: Recorder = program(stack, {"cluster": cluster})
    assert not [each.name for each in recorder.resources if "policy-agent" in each.name]
    assert "images-network-policies" not in {each.name for each in recorder.resources}
    scripts = [
        unpacked(each.inputs["create"]) for each in recorder.resources if each.name.startswith("cluster-network-")
    ]
    assert all("POLICIES=declared" in text for text in scripts if "ARGUS-PREROUTING" in text)


def test_it_runs_on_every_machine_whatever_its_taints(enforcing: Recorder) -> None:
    spec = pod(enforcing)
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["hostNetwork"] is True
    assert "nodeSelector" not in spec
    assert "affinity" not in spec


def test_it_has_one_right_on_its_machine_and_its_own_folder(enforcing: Recorder) -> None:
    spec = pod(enforcing)
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert [each.get("hostPath") for each in spec["volumes"]] == [{"path": policy_agent.FOLDER, "type": "Directory"}]
    assert not spec.keys() & {"hostPID", "hostIPC"}


def test_it_reads_what_policies_are_about_and_its_own_daemon_set(enforcing: Recorder) -> None:
    made = objects(enforcing)
    assert made["ClusterRole"]["rules"] == [
        {"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
    ]
    name = made["DaemonSet"]["metadata"]["name"]
    assert made["Role"]["rules"] == [
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "resourceNames": [name], "verbs": ["get"]}
    ]
    for binding in ("ClusterRoleBinding", "RoleBinding"):
        assert made[binding]["subjects"] == [
            {"kind": "ServiceAccount", "name": made["ServiceAccount"]["metadata"]["name"], "namespace": "kube-system"}
        ]
        assert (
            f"policy-agent-{'' if binding.startswith('Cluster') else 'own-'}binding"
            in enforcing.named("policy-agent-pods").depends_on
        )


def test_it_is_told_the_stack_s_pod_network_and_asked_on_loopback_alone(program: Program) -> None:
    (container,) = pod(program(HOSTS, {"cluster": {"podNetwork": "10.240.0.0/16"}}))["containers"]
    assert "-pods=10.240.0.0/16" in container["args"]
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert f"-health={asked['host']}:{asked['port']:.0f}" in container["args"]
        assert asked["host"] == "127.0.0.1"


def test_no_update_waits_for_it_on_a_dead_machine(enforcing: Recorder) -> None:
    assert objects(enforcing)["DaemonSet"]["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_machines_want_its_rules_before_it_comes(enforcing: Recorder) -> None:
    scripts = [unpacked(each.inputs["create"]) for each in enforcing.resources if "cluster-network-" in each.name]
    assert any("POLICIES=enforced" in text for text in scripts)


def test_its_image_is_built_from_this_repository(enforcing: Recorder) -> None:
    assert enforcing.named("images-network-policies").inputs["environment"]["ARGUS_DOCKERFILE"] == (
        "containers/network-policies/Dockerfile"
    )


def test_an_image_of_ones_own_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(UNKNOWN_KEY)
    values = sections(HOSTS, tmp_path / "key")
    own = {name: f"registry.example.com/{name}:1" for name in every_image(STAGES)}
    values["images"] = {"overrides": own}
    assert load_values(values, rules(STAGES)).images.overrides["network-policies"] == own["network-policies"]
