"""Every pod of the pipeline fits Pod Security's `restricted` profile, which the namespace enforces.

The rules are Kubernetes 1.36's pod-security-admission, or stricter where the pipeline needs no exception.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.unit.components.pipeline.conftest import Build, files_of_driver
from tests.unit.components.pipeline.test_pipeline import templates

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
POD = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")
SELDOM = ("seLinuxOptions", "windowsOptions", "appArmorProfile", "sysctls", "procMount")
"""Fields of a security context with some allowed values, none of which is used here."""
Spec = dict[str, Any]


def violations(spec: Spec) -> list[str]:
    """The rules of `restricted` that a pod violates, one phrase each."""
    return list(_of_pod(spec)) + [
        f"{container['name']}: {problem}"
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(kind) or ()
        for problem in _of_container(container, spec.get("securityContext") or {})
    ]


def _of_pod(spec: Spec) -> Iterator[str]:
    yield from (field for field in POD if spec.get(field) is not None)
    security = spec.get("securityContext") or {}
    yield from _of_context(security)
    for volume in spec.get("volumes") or ():
        if not (kinds := set(volume) - {"name"}) or not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {', '.join(kinds) or 'no type'}"


def _of_container(container: Spec, pod: Spec) -> Iterator[str]:
    security = container.get("securityContext") or {}
    yield from _of_context(security)
    if {**pod, **security}.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if ({**pod, **security}.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("privileged"):
        yield "privileged"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities are not dropped"
    if not set(capabilities.get("add") or ()) <= {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "hostPort"
    handlers = [container.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")]
    handlers += (container.get("lifecycle") or {}).values()
    for handler in filter(None, handlers):
        if any((handler.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield "host of a probe or handler"


def _of_context(security: Spec) -> Iterator[str]:
    if security.get("runAsUser") == 0:
        yield "runAsUser"
    yield from (field for field in SELDOM if security.get(field) is not None)


def good() -> Spec:
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "app",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "ports": [{"containerPort": 8080}],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _set(*path: str | int, to: Any) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        inner: Any = spec
        for step in path[:-1]:
            inner = inner[step] if isinstance(step, int) else inner.setdefault(step, {})
        inner[path[-1]] = to

    return change


APP = ("containers", 0, "securityContext")
BAD: dict[str, Callable[[Spec], None]] = {
    "no pod context": _set("securityContext", to=None),
    "root allowed": _set("securityContext", "runAsNonRoot", to=False),
    "root allowed for one": _set(*APP, "runAsNonRoot", to=False),
    "root": _set("securityContext", "runAsUser", to=0),
    "root for one": _set(*APP, "runAsUser", to=0),
    "unconfined": _set("securityContext", "seccompProfile", "type", to="Unconfined"),
    "unconfined for one": _set(*APP, "seccompProfile", to={"type": "Unconfined"}),
    "no seccomp": _set("securityContext", "seccompProfile", to=None),
    "escalation": _set(*APP, "allowPrivilegeEscalation", to=True),
    "escalation unsaid": _set(*APP, "allowPrivilegeEscalation", to=None),
    "privileged": _set(*APP, "privileged", to=True),
    "capabilities kept": _set(*APP, "capabilities", to=None),
    "capabilities half kept": _set(*APP, "capabilities", to={"drop": ["NET_RAW"]}),
    "capability added": _set(*APP, "capabilities", "add", to=["SYS_ADMIN"]),
    "host network": _set("hostNetwork", to=True),
    "host processes": _set("hostPID", to=True),
    "host IPC": _set("hostIPC", to=True),
    "host port": _set("containers", 0, "ports", 0, "hostPort", to=8080),
    "host path": _set("volumes", 0, to={"name": "tmp", "hostPath": {"path": "/"}}),
    "nfs": _set("volumes", 0, to={"name": "tmp", "nfs": {"server": "s", "path": "/"}}),
    "volume without a type": _set("volumes", 0, to={"name": "tmp"}),
    "sysctl": _set("securityContext", "sysctls", to=[{"name": "kernel.msgmax", "value": "1"}]),
    "proc": _set(*APP, "procMount", to="Unmasked"),
    "selinux": _set(*APP, "seLinuxOptions", to={"type": "spc_t"}),
    "apparmor": _set("securityContext", "appArmorProfile", to={"type": "Unconfined"}),
    "windows": _set("securityContext", "windowsOptions", to={"hostProcess": True}),
    "probe elsewhere": _set("containers", 0, "livenessProbe", "httpGet", "host", to="192.0.2.1"),
    "handler elsewhere": _set("containers", 0, "lifecycle", to={"preStop": {"httpGet": {"host": "192.0.2.1"}}}),
    "no context of its own": _set(*APP, to=None),
    "init container": _set("initContainers", to=[{"name": "init"}]),
    "ephemeral container": _set("ephemeralContainers", to=[{"name": "debug"}]),
}


def test_the_check_allows_a_restricted_pod() -> None:
    assert violations(good()) == []


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_the_check_is_strict(change: Callable[[Spec], None]) -> None:
    spec = copy.deepcopy(good())
    change(spec)
    assert violations(spec)


def test_every_template_is_restricted(build: Build) -> None:
    found = templates(build())
    assert {key.partition("/")[0] for key in found} >= {"StatefulSet", "Deployment", "Job"}
    assert {key: problems for key, each in found.items() if (problems := violations(each["spec"]))} == {}


@pytest.mark.parametrize("model", ["objects", "motion"])
def test_executors_are_restricted(build: Build, model: str) -> None:
    config = files_of_driver(build(), model)
    assert violations(yaml.safe_load(config["executor.yaml"])["spec"]) == []


def test_the_namespace_holds_pods_to_it(build: Build) -> None:
    labels = build()["Namespace/argus"].inputs["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.36"
