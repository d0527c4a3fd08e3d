"""The lab's folders, network and machines. The machines are those in the dev stack's configuration."""

import os
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("ARGUS_CACHE") or "~/.cache/argus").expanduser().resolve()
"""Holds builds, keyed by the hash of their inputs. `lab down` keeps it."""
DEFAULT_STATE = "~/.local/state/argus/lab"
"""The default of STATE, as written in the dev stack's file."""
STATE = Path(os.environ.get("ARGUS_STATE") or DEFAULT_STATE).expanduser().resolve()
"""Holds what belongs to the running lab: its key, the stack's state, process IDs, logs."""

STACK = "dev"
STACK_FILE = ROOT / f"Pulumi.{STACK}.yaml"
SSH_KEY = STATE / "id_ed25519"
KUBECONFIG = STATE / "kubeconfig"
LOGS = STATE / "logs"
TOOLS = CACHE / "bin"

NETWORK = "argus-lab"
SUBNET = IPv4Network("10.77.0.0/24")
GATEWAY = IPv4Address("10.77.0.1")
REGISTRY_PORT = 5000
MIRROR_PORT = 8088
REGISTRY = f"{GATEWAY}:{REGISTRY_PORT}"
MIRROR = f"http://{GATEWAY}:{MIRROR_PORT}"

CAMERAS_ADDRESS = IPv4Address("10.77.0.31")
CAMERAS_PORT = 8554
"""For RTSP."""
CAMERAS_HTTP_PORT = 8080
"""For MJPEG."""

SUITE: Final = "bookworm"
"""Of Debian, for every machine that ARGUS_SUITES does not name."""
SUITES: Final = ("bookworm", "trixie")
DEBIAN_MIRROR = os.environ.get("ARGUS_DEBIAN_MIRROR") or "http://deb.debian.org/debian"


class LabError(Exception):
    """The lab cannot continue; the message says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host of the dev stack, for which a container stands."""

    name: str
    address: IPv4Address
    suite: str = SUITE
    """Of Debian."""

    @property
    def container(self) -> str:
        """The container's name, with a prefix so that it does not collide with other containers."""
        return f"{NETWORK}-{self.name}"


@cache
def machines() -> tuple[Machine, ...]:
    """The dev stack's control planes, then its workers."""
    declared = _stack_value("machines")
    suites = _suites(os.environ.get("ARGUS_SUITES", ""))
    found = tuple(
        Machine(name=entry["name"], address=IPv4Address(entry["address"]), suite=suites.pop(entry["name"], SUITE))
        for role in ("controlPlanes", "workers")
        for entry in declared.get(role, [])
    )
    if suites:
        raise LabError(f"ARGUS_SUITES: {STACK_FILE.name} has no machine {', '.join(sorted(suites))}")
    outside = [f"{machine.name} ({machine.address})" for machine in found if machine.address not in SUBNET]
    if outside:
        raise LabError(f"{STACK_FILE.name}: not on the lab's network {SUBNET}: {', '.join(outside)}")
    return found


def machine(name: str) -> Machine:
    """The machine of that name. Raises LabError that lists the machines if there is none."""
    for candidate in machines():
        if candidate.name == name:
            return candidate
    raise LabError(f"no machine {name!r} in the lab; there are {', '.join(m.name for m in machines())}")


def _suites(given: str) -> dict[str, str]:
    """The suites by machine, from a text such as `worker2=trixie,cp1=trixie`."""
    found = {}
    for each in filter(None, given.split(",")):
        name, _, suite = each.strip().partition("=")
        if suite not in SUITES:
            raise LabError(f"ARGUS_SUITES: {each.strip()!r} is not MACHINE=SUITE with a suite of {', '.join(SUITES)}")
        found[name] = suite
    return found


def kubernetes_endpoint() -> str:
    """The virtual IP address of the cluster."""
    return str(_stack_value("cluster")["endpoint"])


def _stack_value(key: str) -> dict[str, Any]:
    # Imported here, because this module is also used before the virtual environment with PyYAML exists.
    import yaml

    stack = yaml.safe_load(STACK_FILE.read_text())
    value = stack["config"].get(f"argus:{key}")
    if not isinstance(value, dict):
        raise LabError(f"{STACK_FILE.name} has no argus:{key}; the lab takes its machines from there")
    return value
