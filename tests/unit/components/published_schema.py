"""Checks objects against the schemas in the Go modules of Kubernetes and its autoscalers; unknown fields fail."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import versions

MODULE = f"k8s.io/kubernetes@v{versions.KUBERNETES}"
CUSTOM = {
    "ScaledObject": (f"github.com/kedacore/keda/v2@v{versions.KEDA}", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "ClusterTriggerAuthentication": (
        f"github.com/kedacore/keda/v2@v{versions.KEDA}",
        "config/crd/bases/keda.sh_clustertriggerauthentications.yaml",
    ),
    "VerticalPodAutoscaler": (
        f"k8s.io/autoscaler/vertical-pod-autoscaler@v{versions.VPA}",
        "deploy/vpa-v1-crd-gen.yaml",
    ),
}
"""Module and file with the CRD of each kind of KEDA and the Vertical Pod Autoscaler."""
INTEGER_OR_TEXT = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": (int, float),
    "number": (int, float),
    "boolean": bool,
    "text or number": (str, int, float),
}


@cache
def schema() -> dict[str, Any]:
    """The definitions in the OpenAPI document of Kubernetes' Go module."""
    document = folder(MODULE) / "api/openapi-spec/swagger.json"
    definitions: dict[str, Any] = json.loads(document.read_text())["definitions"]
    return definitions


@cache
def custom(kind: str) -> dict[str, Any]:
    """The schema in upstream's CRD of a kind, because Argus's own CRD accepts anything."""
    module, manifest = CUSTOM[kind]
    definitions = yaml.safe_load_all((folder(module) / manifest).read_text())
    (definition,) = (each for each in definitions if each["spec"]["names"]["kind"] == kind)
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def folder(module: str) -> Path:
    """The folder of a Go module (with version) on this machine."""
    answer = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.fail(f"cannot get {module}: {answer.stderr or answer.stdout}")
    return Path(json.loads(answer.stdout)["Dir"])


@cache
def by_kind() -> dict[tuple[str, str], str]:
    """The definition's name by apiVersion and kind."""
    found = {}
    for name, definition in schema().items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            version = f"{kind['group']}/{kind['version']}".lstrip("/")
            found[version, kind["kind"]] = name
    return found


def resolved(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition behind a reference; text or number for Kubernetes' two types that can be either."""
    name = definition.get("$ref", "").removeprefix("#/definitions/")
    if name in {INTEGER_OR_TEXT, QUANTITY} or definition.get("x-kubernetes-int-or-string"):
        return {"type": "text or number"}
    return schema()[name] if name else definition


def mistakes(value: Any, definition: Mapping[str, Any], at: str) -> list[str]:
    """The deviations of `value` from `definition`, each with its place."""
    definition = resolved(definition)
    kind = definition.get("type", "object")
    if kind == "array":
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [text for n, item in enumerate(value) for text in mistakes(item, definition["items"], f"{at}[{n}]")]
    if kind in KINDS:
        fits = isinstance(value, KINDS[kind]) and isinstance(value, bool) is (kind == "boolean")
        if fits and value not in definition.get("enum", [value]):
            return [f"{at}: {value!r} is none of {', '.join(definition['enum'])}"]
        return [] if fits else [f"{at}: {value!r} is no {kind}"]
    if "properties" not in definition and "additionalProperties" not in definition:
        return []
    return object_mistakes(value, definition, at) if isinstance(value, dict) else [f"{at}: {value!r} is no object"]


def object_mistakes(value: Mapping[str, Any], definition: Mapping[str, Any], at: str) -> list[str]:
    """The missing, unknown and wrong fields."""
    known, others = definition.get("properties", {}), definition.get("additionalProperties")
    found = [f"{at}.{key} is missing" for key in definition.get("required", []) if key not in value]
    for key, item in value.items():
        if key in known or others:
            found += mistakes(item, known.get(key, others), f"{at}.{key}")
        else:
            found.append(f"{at}.{key} is unknown")
    return found


def mistakes_of(item: Mapping[str, Any]) -> list[str]:
    """The mistakes in one Kubernetes object."""
    if item["kind"] in CUSTOM:
        return mistakes(item, custom(item["kind"]), f"{item['kind']}/{item['metadata']['name']}")
    name = by_kind().get((item["apiVersion"], item["kind"]))
    if name is None:
        return [f"{item['apiVersion']} {item['kind']} is unknown"]
    return mistakes(item, schema()[name], f"{item['kind']}/{item['metadata']['name']}")
