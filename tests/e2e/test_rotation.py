"""Every password, key and certificate of the pipeline, and the SSH key, change in one update while the cameras run.

The key of Secrets and the cluster's certificates are in test_security.py.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.config import SSH_KEY
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE
from tests.e2e.conftest import Stack
from tests.e2e.machines import EVERYBODY, on, stack_with
from tests.e2e.page import Login
from tests.e2e.refusals import refusals
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full  # some 30 minutes

WORD = "rotated"
TAKEN_LIMIT_S = 180
"""Pods see another content of a Secret within a minute or two."""
KEYS_OF_ARGUS = "/home/argus/.ssh/authorized_keys"


def secrets(stack: Stack) -> dict[str, Mapping[str, str]]:
    """The data of each Secret of the pipeline that Argus makes up, by its name: cameras make up their logins."""
    items = stack.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]
    named = {item["metadata"]["name"]: item.get("data", {}) for item in items}
    return {name: data for name, data in named.items() if not name.endswith("-credentials")}


def not_let_in(login: Login) -> str | None:
    """None once the page lets somebody in. Raises httpx.HTTPError before that."""
    with login.client() as page:
        return None if page.get("/api/cameras").is_success else "it shows no cameras"


def let_in(public_key: Path) -> None:
    """Let Argus's user in on every machine by this key alone."""
    for machine in EVERYBODY:
        on(machine, f"echo {public_key.read_text().strip()!r} > {KEYS_OF_ARGUS}")


@pytest.fixture
def ssh_key(tmp_path: Path) -> Iterator[Path]:
    """Another key pair, by which alone every machine lets Argus's user in until the test ends."""
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    try:
        let_in(key.with_suffix(".pub"))
        yield key
    finally:
        let_in(SSH_KEY.with_suffix(".pub"))


@pytest.fixture
def rotated(ssh_key: Path, tmp_path: Path) -> Path:
    """The stack's file with another SSH key, and with everything that it makes up drawn again."""

    def edit(config: dict[str, Any]) -> None:
        config["argus:ssh"]["privateKeyFile"] = str(ssh_key)
        config.setdefault("argus:podSecrets", {})["redraw"] = WORD
        config.setdefault("argus:access", {})["redraw"] = WORD
        config.setdefault("argus:ui", {})["tlsRedraw"] = WORD

    return stack_with(tmp_path / "rotated", edit)


@pytest.fixture
def restored(stack: Stack, rotated: Path) -> Iterator[None]:
    """Afterwards, the stack is as its own file says again."""
    yield
    let_in(SSH_KEY.with_suffix(".pub"))
    stack.up()
    stack.connect()


def kept_of(before: Mapping[str, Mapping[str, str]], stack: Stack) -> list[str]:
    """The names of those Secrets that are as they were."""
    now = secrets(stack)
    return [name for name, data in before.items() if now.get(name) == data]


@pytest.mark.usefixtures("restored")
def test_everything_is_rotated_in_one_update_and_no_frame_is_lost(
    stack: Stack, rotated: Path, timings: Timings
) -> None:
    before, old_login = secrets(stack), stack.login
    session = dict(old_login.client().cookies)
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    stack.up(rotated)
    stack.connect()
    assert kept_of(before, stack) == [], "these are as they were"
    wait_until("the page to read its new keys", lambda: not_let_in(stack.login), TAKEN_LIMIT_S)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        old_login.client()
    with httpx.Client(base_url=stack.login.url, verify=stack.login.trust, cookies=session, trust_env=False) as page:
        assert page.get("/api/cameras").status_code == httpx.codes.UNAUTHORIZED
        said = page.post("/api/login", json={"name": old_login.name, "password": old_login.password})
        assert said.status_code == httpx.codes.UNAUTHORIZED
    assert refusals() == {}
    # The former client shows pods the token that was theirs.
    audit = replace(audit, cluster=stack.cluster)
    timings.took("everything is rotated in one update", time.monotonic() - began, audit.close())


@pytest.mark.usefixtures("restored")
def test_a_rotation_that_is_killed_midway_costs_no_frame_and_the_next_update_completes_it(
    stack: Stack, rotated: Path, timings: Timings
) -> None:
    before = secrets(stack)
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    stack.up_killed("a half of the Secrets are new", lambda: 2 * len(kept_of(before, stack)) <= len(before), rotated)
    stack.connect()
    audit = replace(audit, cluster=stack.cluster)
    assert kept_of(before, stack) != [], "it was not killed midway"
    wait_until("the page to let somebody in", lambda: not_let_in(stack.login), TAKEN_LIMIT_S)
    assert refusals() == {}
    counts = audit.close()
    audit = Audit.open(stack.cluster)
    stack.up(rotated)
    stack.connect()
    assert kept_of(before, stack) == [], "these are as they were"
    assert refusals() == {}
    counts = f"{counts}; then {replace(audit, cluster=stack.cluster).close()}"
    timings.took("a rotation is killed midway, and completed", time.monotonic() - began, counts)
