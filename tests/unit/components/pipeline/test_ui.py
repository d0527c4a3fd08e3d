"""Who may look at what reaches the page in a Secret, and nowhere else."""

import json
import re
from typing import Any

import pytest

from apps.access.document import ACCESS_FILE, KEY_FILE, Access
from apps.access.hashes import hash_password, hash_token, verify
from apps.ui import disks
from components.cluster.kubeadm import KUBELET_PORT
from components.config import reference
from components.kubernetes import SECRETS_DIR
from components.pipeline.ui import access_file
from tests.unit.components.pipeline.conftest import Build, declare, settings

PAGE = "https://argus.test"
SECRET = "of-the-client"
PROVIDER: dict[str, Any] = {
    "issuer": "https://login.test",
    "clientId": "argus",
    "clientSecret": SECRET,
    "roles": [
        {"value": "chiefs", "role": "admin", "groups": ["all"]},
        {"value": "guards", "groups": ["yard"]},
    ],
    "ca": None,
}
ANNA, SHIFT = hash_password("a password of anna"), hash_token("of-the-shift")
ACCESS: dict[str, Any] = {
    "groups": {"yard": ["camera-0?", "camera-39"]},
    "users": {"anna": {"passwordHash": ANNA, "groups": ["yard"]}},
    "tokens": {"shift": {"tokenHash": SHIFT, "role": "operator", "groups": ["all", "yard"]}},
    "sessions": {"idleMinutes": 30, "absoluteHours": 10},
}


def parts(objects: Any) -> tuple[Any, Any]:
    return objects["Secret/ui-access"], objects["Deployment/ui"].inputs["spec"]["template"]


def test_users_and_tokens_are_in_the_file_with_the_patterns_of_their_groups() -> None:
    read = Access.model_validate_json(access_file(settings(access=ACCESS).access, None, PAGE))
    (anna,) = read.users.values()
    assert (anna.role, anna.cameras, anna.version, anna.hash) == ("viewer", ("camera-0?", "camera-39"), 1, ANNA)
    (shift,) = read.tokens.values()
    assert (shift.role, shift.cameras) == ("operator", ("*", "camera-0?", "camera-39"))
    assert (read.idle_seconds, read.absolute_seconds) == (1800, 36000)


def test_a_stack_that_names_no_user_has_an_admin_with_a_drawn_password() -> None:
    read = Access.model_validate_json(access_file(settings().access, "drawn", PAGE))
    assert read.users.keys() == {"admin"}
    assert (read.users["admin"].role, read.users["admin"].cameras) == ("admin", ("*",))
    assert verify("drawn", read.users["admin"].hash)


def test_without_a_provider_the_file_is_as_earlier_pods_know_it() -> None:
    written = json.loads(access_file(settings(access=ACCESS).access, None, PAGE))
    assert list(written) == ["users", "tokens", "idle_seconds", "absolute_seconds"]


def test_the_provider_is_in_the_file_with_the_page_s_own_address(build: Build) -> None:
    objects = build(access={**ACCESS, "openIdConnect": PROVIDER}, ui={"url": "https://argus.test"})
    secret, _ = parts(objects)
    given = Access.model_validate_json(secret.inputs["stringData"][ACCESS_FILE]).open_id_connect
    assert given is not None
    assert (given.issuer, given.client_id, given.client_secret) == ("https://login.test", "argus", SECRET)
    assert given.page == PAGE
    assert [(each.value, each.role, each.cameras) for each in given.roles] == [
        ("chiefs", "admin", ("*",)),
        ("guards", "viewer", ("camera-0?", "camera-39")),
    ]
    assert [key for key, each in objects.items() if SECRET in json.dumps(each.inputs)] == ["Secret/ui-access"]
    without = build(access=ACCESS, ui={"url": "https://argus.test"})
    changed = {key for key in objects if objects[key].inputs != without[key].inputs}
    assert changed == {"Secret/ui-access", "NetworkPolicy/ui"}, "nothing restarts"


def test_the_secret_is_secret_and_mounted_as_files(build: Build) -> None:
    secret, template = parts(build(access=ACCESS))
    assert "stringData" in secret.secret_inputs
    assert secret.inputs["stringData"].keys() == {ACCESS_FILE, KEY_FILE}
    spec = template["spec"]
    (container,) = spec["containers"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == "secrets")
    assert volume["secret"] == {"secretName": "ui-access", "defaultMode": 0o440}
    assert {"name": volume["name"], "mountPath": SECRETS_DIR, "readOnly": True} in container["volumeMounts"]
    assert "env" not in container, "environment variables are shown by `kubectl describe`"


def test_nothing_else_has_a_hash(build: Build) -> None:
    objects = build(access=ACCESS)
    for text in (ANNA, SHIFT):
        assert [key for key, each in objects.items() if text in json.dumps(each.inputs)] == ["Secret/ui-access"]


@pytest.mark.parametrize(
    "change",
    [
        {"users": {"anna": {"passwordHash": ANNA, "groups": ["all"]}}},
        {"users": {**ACCESS["users"], "bert": {"passwordHash": ANNA, "groups": ["all"]}}},
        {"sessions": {"idleMinutes": 20}},
        {"groups": {"yard": ["camera-0?"]}},
    ],
)
def test_a_change_of_users_restarts_nothing(build: Build, change: dict[str, Any]) -> None:
    before, after = build(access=ACCESS), build(access={**ACCESS, **change})
    assert {key for key in before if before[key].inputs != after[key].inputs} == {"Secret/ui-access"}


def test_the_pods_may_write_no_other_config_map(build: Build) -> None:
    objects = build()
    assert objects["ConfigMap/ui"].inputs["data"]["ARGUS_SESSIONS_CONFIG_MAP"] == "ui-sessions"
    assert "data" not in objects["ConfigMap/ui-sessions"].inputs, "it is the pods'"
    rules = {rule["resources"][0]: rule for rule in objects["Role/ui"].inputs["rules"]}
    assert rules["configmaps"] == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["ui-sessions"],
        "verbs": ["get", "update"],
    }
    assert rules["pods"]["verbs"] == ["get", "list"] and len(rules) == 2


def test_the_pods_may_ask_kubelets_how_full_their_disks_are_and_nothing_else(build: Build) -> None:
    objects = build()
    role, binding = objects["ClusterRole/argus-ui-disks"].inputs, objects["ClusterRoleBinding/argus-ui-disks"].inputs
    assert {(rule["resources"][0], *rule["verbs"]) for rule in role["rules"]} == {
        ("nodes", "list"),
        ("nodes/stats", "get"),
    }
    assert all(len(rule["resources"]) == 1 for rule in role["rules"])
    assert binding["roleRef"]["name"] == "argus-ui-disks"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ui", "namespace": "argus"}]


def test_what_a_full_volume_s_line_says_to_do_is_in_the_stack(build: Build) -> None:
    """Each service with a volume has a remedy, whose keys there are; its claims are named as the page reads them."""
    sets = {each.inputs["metadata"]["name"]: each.inputs for each in build().values() if "StatefulSet" in each.type}
    assert disks.REMEDIES.keys() == sets.keys()
    for each in sets.values():
        assert [claim["metadata"]["name"] for claim in each["spec"]["volumeClaimTemplates"]] == ["data"]
    named = {key for remedy in disks.REMEDIES.values() for key in re.findall(r"argus:([\w.]+)", remedy)}
    assert named <= set(reference.keys())
    assert disks.KUBELET_PORT == KUBELET_PORT


@pytest.mark.parametrize(("changes", "drawn"), [({}, True), ({"access": ACCESS}, False)])
def test_a_password_is_drawn_only_where_there_is_no_user(
    pulumi_mocks: Any, changes: dict[str, Any], drawn: bool
) -> None:
    pulumi_mocks.run(lambda: declare(**changes))
    names = {each.name for each in pulumi_mocks.of_type("command:local:Command")}
    assert "ui-session-key" in names
    assert ("ui-password" in names) is drawn


def test_a_certificate_is_mounted_where_the_stack_names_one(build: Build) -> None:
    plain, served = build(ui={"tls": "off"}), build(ui={"tlsSecret": "page-tls"})
    assert "ARGUS_TLS_DIR" not in plain["ConfigMap/ui"].inputs["data"]
    folder = served["ConfigMap/ui"].inputs["data"]["ARGUS_TLS_DIR"]
    spec = served["Deployment/ui"].inputs["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (mounted,) = (each for each in container["volumeMounts"] if each["mountPath"] == folder)
    (volume,) = (each for each in spec["volumes"] if each["name"] == mounted["name"])
    assert volume["secret"] == {"secretName": "page-tls", "defaultMode": 0o440} and mounted["readOnly"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == 8081 and "scheme" not in container[probe]["httpGet"]
    assert 8082 in {int(port["containerPort"]) for port in container["ports"]}
    assert [port["port"] for port in served["Service/ui"].inputs["spec"]["ports"]] == [8080]
