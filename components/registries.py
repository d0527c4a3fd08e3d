"""What the programs that ask registries on the computer that runs Pulumi are told of them: registries.sh reads it."""

import base64
import json
from collections.abc import Iterable
from typing import Final

import pulumi

from components.config import sections
from components.config.urls import registry_of

_HUB: Final = "docker.io"
_KEYS: Final = {_HUB: (_HUB, "https://index.docker.io/v1/")}
"""How podman and docker call a registry in their files of logins, where that is not its host."""
_NONE: Final = "-"


def variables(section: sections.Images, references: Iterable[str]) -> dict[str, pulumi.Input[str]]:
    """The variable ARGUS_REGISTRIES for the registries of these images; none where the stack says nothing of them."""
    known = {host: section.at(host) for host in sorted(set(map(registry_of, references)))}
    lines = [line for host, each in known.items() if (line := _line(host, each))]
    if not lines:
        return {}
    secret = any(each.own_login for each in known.values())
    text = "".join(f"{line}\n" for line in lines)
    return {"ARGUS_REGISTRIES": pulumi.Output.secret(text) if secret else text}


def _line(host: str, registry: sections.Registry) -> str:
    """Host, file of logins, authority, and whether it speaks plain http; empty if the stack says nothing of it."""
    login, ca = registry.own_login, registry.ca
    if not (login or ca or registry.insecure):
        return ""
    logins = _logins(host, login) if login else ""
    fields = [_encoded(logins), _encoded(ca or ""), "insecure" if registry.insecure else ""]
    return "\t".join([host, *(field or _NONE for field in fields)])


def _logins(host: str, login: sections.RegistryLogin) -> str:
    """The file of logins that podman, docker and cosign read, with one login."""
    pair = _encoded(f"{login.username}:{login.password.get_secret_value()}")
    return json.dumps({"auths": {key: {"auth": pair} for key in _KEYS.get(host, (host,))}})


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
