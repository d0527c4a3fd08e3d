"""Pods' configuration: ConfigMaps and Secrets, and a hash that restarts their readers when they change."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi_kubernetes import core, meta

from components.kubernetes.names import Workload

CONFIG_DIR: Final = "/etc/argus"
SECRETS_DIR: Final = "/etc/argus-secrets"
CONFIG_HASH: Final = "argus.dev/config-hash"

Contents = Sequence[pulumi.Input[Mapping[str, Any]]]
"""What pods read only when they start, so that a change of it restarts them."""


def config_hash(*contents: pulumi.Input[Mapping[str, Any]]) -> pulumi.Output[str]:
    """A hash of everything that a pod reads; as an annotation of its template, it restarts the pod on a change."""
    return pulumi.Output.all(*contents).apply(digest)


def digest(content: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a JSON-like value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def config_map(resource: str, workload: Workload, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """The name of a ConfigMap with this content."""
    made = core.v1.ConfigMap(resource, metadata=workload.metadata(), data=dict(data), opts=workload.opts)
    return made.metadata.name.apply(str)


def lasting_config(resource: str, workload: Workload, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """The name of an immutable ConfigMap with this content; a hash of the content is appended to the workload's name.

    For pods that keep working while their successors fail: a pod that restarts reads the same content as before. So
    Pulumi does not delete earlier ConfigMaps, which are current again once a failed change is reverted; they are
    deleted with their namespace.
    """
    described = workload.named(pulumi.Output.format("{0}-{1}", workload.name, config_hash(data))).metadata()
    lasting = pulumi.ResourceOptions.merge(workload.opts, pulumi.ResourceOptions(retain_on_delete=True))
    made = core.v1.ConfigMap(resource, metadata=described, data=dict(data), immutable=True, opts=lasting)
    return made.metadata.name.apply(str)


def lasting_secret(resource: str, workload: Workload, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """The name of an immutable Secret with this content, which is named like a `lasting_config`.

    A pod that restarts while its successor fails reads the same secret as before. Pulumi deletes an earlier one when an
    update has succeeded: nobody goes back to a secret that was replaced. The content must be random, as the name tells
    64 bits of its hash.
    """
    name = pulumi.Output.unsecret(pulumi.Output.format("{0}-{1}", workload.name, config_hash(data)))
    made = core.v1.Secret(
        resource,
        metadata=workload.named(name).metadata(),
        string_data=pulumi.Output.secret(dict(data)),
        immutable=True,
        opts=workload.opts,
    )
    return made.metadata.name.apply(str)


def template_metadata(labelled: Mapping[str, str], contents: Contents) -> meta.v1.ObjectMetaArgs:
    """The metadata of a pod template whose pods read `contents`."""
    annotations = {CONFIG_HASH: config_hash(*contents)} if contents else None
    return meta.v1.ObjectMetaArgs(labels=dict(labelled), annotations=annotations)


def config_volume(config_map: pulumi.Input[str], name: str = "config", *, optional: bool = False) -> core.v1.VolumeArgs:
    """A volume with a ConfigMap's keys as files; if `optional`, it has none until there is that ConfigMap."""
    source = core.v1.ConfigMapVolumeSourceArgs(name=config_map, optional=optional or None)
    return core.v1.VolumeArgs(name=name, config_map=source)


def secret_volume(secret: pulumi.Input[str], name: str = "secrets") -> core.v1.VolumeArgs:
    """A volume with a Secret's keys as files that only the pod's group may read."""
    return core.v1.VolumeArgs(name=name, secret=core.v1.SecretVolumeSourceArgs(secret_name=secret, default_mode=0o440))


def secrets_volume(name: str, secrets: Sequence[tuple[pulumi.Input[str], Sequence[str] | None]]) -> core.v1.VolumeArgs:
    """A volume with the keys of several Secrets as files, as `secret_volume`: of each those that are named, or all."""
    sources = [
        core.v1.VolumeProjectionArgs(
            secret=core.v1.SecretProjectionArgs(
                name=secret, items=None if keys is None else [core.v1.KeyToPathArgs(key=key, path=key) for key in keys]
            )
        )
        for secret, keys in secrets
    ]
    return core.v1.VolumeArgs(
        name=name, projected=core.v1.ProjectedVolumeSourceArgs(sources=sources, default_mode=0o440)
    )


def env(name: str, value: pulumi.Input[str]) -> core.v1.EnvVarArgs:
    """A constant environment variable; values that users may change belong in a ConfigMap."""
    return core.v1.EnvVarArgs(name=name, value=value)


def env_field(name: str, path: str) -> core.v1.EnvVarArgs:
    """An environment variable with a field of the pod itself."""
    return core.v1.EnvVarArgs(
        name=name,
        value_from=core.v1.EnvVarSourceArgs(field_ref=core.v1.ObjectFieldSelectorArgs(field_path=path)),
    )


def env_if_there(name: str, config_map: str) -> core.v1.EnvVarArgs:
    """An environment variable from the key of its name in a ConfigMap; unset while there is no such ConfigMap."""
    reference = core.v1.ConfigMapKeySelectorArgs(name=config_map, key=name, optional=True)
    return core.v1.EnvVarArgs(name=name, value_from=core.v1.EnvVarSourceArgs(config_map_key_ref=reference))


def env_from(config_map: pulumi.Input[str]) -> list[core.v1.EnvFromSourceArgs]:
    """Environment variables from every key of a ConfigMap."""
    return [core.v1.EnvFromSourceArgs(config_map_ref=core.v1.ConfigMapEnvSourceArgs(name=config_map))]
