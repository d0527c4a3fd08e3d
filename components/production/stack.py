"""A stack's configuration, from its file, and what the program declares for it; no cluster and no machine is asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from components.config import Settings, load_values
from components.config.mistakes import PROJECT
from components.images import ROOT
from components.pipeline.rules import rules
from components.pipeline.stages import STAGES
from components.recorder import Registered, record

Sections = Mapping[str, Any]
"""The sections of a stack by key, without `argus:`."""

_PULUMI_SECONDS: Final = 120
_NO_KEY: Final = "-----BEGIN PRIVATE KEY-----\n"
"""In the place of the private key for machines, as none is reached."""


class SiteError(Exception):
    """A command for a site cannot continue; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A stack's settings, and everything that the program declares for them."""

    settings: Settings
    resources: Sequence[Registered]

    def of_type(self, *types: str) -> list[Registered]:
        """The resources of these types."""
        return [each for each in self.resources if each.type in types]


def read(stack: str) -> dict[str, Any]:
    """The sections of `Pulumi.<stack>.yaml`, with secrets in clear if it has any. Raises SiteError."""
    file = ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = ", ".join(sorted(each.name.split(".")[1] for each in ROOT.glob("Pulumi.*.yaml")))
        raise SiteError(f"there is no stack {stack!r}: {file} is missing; there are {known}")
    config = yaml.safe_load(file.read_text(encoding="utf-8")).get("config") or {}
    if _has_secrets(config):
        config = _decrypted(stack)
    # As Pulumi reads a key without a project.
    whole = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in config.items()}
    prefix = f"{PROJECT}:"
    return {key.removeprefix(prefix): value for key, value in whole.items() if key.startswith(prefix)}


def declare(sections: Sections) -> Declared:
    """Check the configuration as a preview does, and run the program. Raises ConfigError, or what the program raises.

    The private keys for machines are not read. Digests and checksums that are missing are no error: what they are
    missing for is asked for here.
    """
    changed = {
        **sections,
        "ssh": {**_without_keys(sections.get("ssh", {})), "privateKey": _NO_KEY},
        "images": {**sections.get("images", {}), "requireDigests": False},
        "cluster": {**sections.get("cluster", {}), "requireChecksums": False},
    }
    settings = load_values(changed, rules(STAGES))
    config = {f"{PROJECT}:{key}": json.dumps(value) for key, value in changed.items()}
    return Declared(settings=settings, resources=record(ROOT / "__main__.py", config))


def _without_keys(ssh: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ssh.items() if key not in ("privateKeyFile", "privateKey", "agent")}


def _has_secrets(value: Any) -> bool:
    if isinstance(value, dict):
        return value.keys() == {"secure"} or any(map(_has_secrets, value.values()))
    return isinstance(value, list) and any(map(_has_secrets, value))


def _decrypted(stack: str) -> dict[str, Any]:
    """The stack's configuration as Pulumi decrypts it, because rules look at secrets too."""
    command = ["pulumi", "config", "--show-secrets", "--json", "--stack", stack, "--cwd", str(ROOT)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_PULUMI_SECONDS, check=True
        )
    except FileNotFoundError:
        raise SiteError(f"stack {stack} has secrets, and there is no `pulumi` to read them: install it") from None
    except subprocess.TimeoutExpired:
        raise SiteError(f"`pulumi config` did not end within {_PULUMI_SECONDS} s: can it read the stack?") from None
    except subprocess.CalledProcessError as failed:
        raise SiteError(
            f"stack {stack} has secrets, and `pulumi config` cannot read them ({failed.stderr.strip()}): log in to its"
            " backend and give the passphrase, as for `pulumi preview`"
        ) from None
    values: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return {key: each.get("objectValue", each.get("value")) for key, each in values.items()}
