"""The tests' stack of real hosts, as its file says it, and what the program declares for it."""

from typing import Any

import pytest

from components.production.stack import Declared, declare
from tests.unit.stacks import HOSTS, configuration


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """The sections of the stack. The private key that it names does not exist."""
    found = {key.removeprefix("argus:"): section for key, section in configuration(HOSTS).items()}
    return {**found, "ssh": {"user": "argus", "privateKeyFile": "/nonexistent/key"}}


@pytest.fixture(scope="session")
def declared(hosts: dict[str, Any]) -> Declared:
    """What the program declares for it."""
    return declare(hosts)
