"""The keeper of the page's certificate, with a stand-in for lego and one for the API server."""

import base64
import itertools
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from apps.acme import lego
from apps.acme.kept import STATE, Keeper
from apps.acme.settings import Settings
from apps.acme.tries import TRY, pause
from apps.messages.certificate import FAILURE_FILE, Failure
from apps.service.kubernetes import ApiError

STATE_PATH, PAGE_PATH = "/api/v1/namespaces/argus-acme/secrets/acme-state", "/api/v1/namespaces/argus/secrets/ui-acme"
MADE = r"""
mkdir -p "$path/accounts/acme.example.com" "$path/certificates"
[ -e "$path/accounts/acme.example.com/key" ] || echo "an account" >"$path/accounts/acme.example.com/key"
echo "certificate $$" >"$path/certificates/page.crt"
echo "key $$" >"$path/certificates/page.key"
"""
REFUSED = r"""
mkdir -p "$path/accounts/acme.example.com"
echo "an account" >"$path/accounts/acme.example.com/key"
echo '{"level":"INFO","msg":"asking"}'
echo '{"level":"ERROR","msg":"Error","error":"obtain certificate: urn:ietf:params:acme:error:dns: no TXT record"}'
exit 1
"""
NOT_DUE = "true"


class Cluster:
    """Two Secrets, as the API server has them."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {
            path: {"metadata": {"name": path.rpartition("/")[2], "resourceVersion": "1"}}
            for path in (STATE_PATH, PAGE_PATH)
        }
        self.writes: list[str] = []
        self.away = False
        self.not_written: dict[str, int] = {}
        """How many more writes of a Secret are taken; the ones after that are refused."""

    def ask(self, method: str, path: str, *, body: Any = None) -> Any:
        if self.away:
            raise TimeoutError("no answer")
        if method == "PUT":
            if path in self.not_written:
                self.not_written[path] -= 1
                if self.not_written[path] < 0:
                    raise ApiError(f"{method} {path}", HTTPStatus.INTERNAL_SERVER_ERROR, b"etcd")
            assert body["metadata"] == self.objects[path]["metadata"]
            version = str(int(body["metadata"]["resourceVersion"]) + 1)
            self.objects[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            self.writes.append(path)
        elif path not in self.objects:
            raise ApiError(f"{method} {path}", HTTPStatus.FORBIDDEN, b"")
        return self.objects[path]

    def content(self, path: str) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.objects[path].get("data", {}).items()}


@pytest.fixture
def lego_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`lego_is(script)`: what runs as lego; `$path` is its folder, and `$arguments` has its arguments."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    reading = 'arguments="$*"\nwhile [ $# -gt 0 ]; do [ "$1" = --path ] && path=$2; shift; done\n'

    def lego_is(script: str) -> None:
        program = folder / lego.PROGRAM
        program.write_text(f"#!/bin/sh\nset -eu\n{reading}{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return lego_is


def settings(**changes: Any) -> Settings:
    return Settings.model_validate(
        {
            "server": "https://acme.example.com/directory",
            "names": ("argus.example.com", "cameras.example.com"),
            "dns_provider": "dnsupdate",
            "credentials": ("DNSUPDATE_TSIG_SECRET",),
            "state_secret": "acme-state",
            "page_namespace": "argus",
            "page_secret": "ui-acme",
            **changes,
        }
    )


PODS = itertools.count()


def keeper(cluster: Cluster, pod: str = "", **changes: Any) -> Keeper:
    """The keeper of a new pod, or of this one."""
    return Keeper(settings(**changes), cluster, "argus-acme", pod=pod or f"acme-{next(PODS)}")


def failure(cluster: Cluster) -> Failure:
    return Failure.from_json(cluster.content(PAGE_PATH)[FAILURE_FILE])


def test_the_page_is_given_the_certificate_and_lego_finds_its_account_again(lego_is: Callable[[str], None]) -> None:
    cluster = Cluster()
    lego_is(MADE)
    assert keeper(cluster).look()
    page = cluster.content(PAGE_PATH)
    assert page.keys() == {"tls.crt", "tls.key"} and page["tls.crt"].startswith(b"certificate")
    assert cluster.content(STATE_PATH).keys() == {STATE, TRY}
    lego_is('[ "$(cat "$path/accounts/acme.example.com/key")" = "an account" ]')
    assert keeper(cluster).look(), "another pod has the same account"
    assert cluster.content(PAGE_PATH) == page


def test_the_page_is_not_written_what_it_has(lego_is: Callable[[str], None]) -> None:
    cluster = Cluster()
    lego_is(MADE)
    keeper(cluster).look()
    cluster.writes.clear()
    lego_is(NOT_DUE)
    assert keeper(cluster).look()
    assert PAGE_PATH not in cluster.writes


def test_lego_is_told_names_server_and_provider(lego_is: Callable[[str], None]) -> None:
    lego_is('echo "{\\"level\\":\\"ERROR\\",\\"error\\":\\"$arguments\\"}"; exit 1')
    cluster = Cluster()
    assert not keeper(cluster).look()
    told = failure(cluster).reason
    for words in (
        "--domains argus.example.com --domains cameras.example.com",
        "--server https://acme.example.com/directory",
        "--dns dnsupdate",
        "--cert.name page",
        "--force-cert-domains",
        "--accept-tos",
    ):
        assert words in told


def test_a_failure_is_told_with_its_reason_and_the_old_certificate_stays(lego_is: Callable[[str], None]) -> None:
    cluster = Cluster()
    lego_is(MADE)
    keeper(cluster).look()
    before = cluster.content(PAGE_PATH)
    lego_is(REFUSED)
    assert not keeper(cluster).look()
    assert {**before, FAILURE_FILE: b""} == {**cluster.content(PAGE_PATH), FAILURE_FILE: b""}
    first = failure(cluster)
    assert first.reason == "obtain certificate: urn:ietf:params:acme:error:dns: no TXT record"
    assert datetime.now(UTC) - first.since < timedelta(minutes=1)
    since = first.since - timedelta(hours=3)
    told = base64.b64encode(Failure(since, first.reason).to_json()).decode()
    cluster.objects[PAGE_PATH]["data"][FAILURE_FILE] = told
    lego_is(REFUSED.replace("no TXT record", "SERVFAIL"))
    assert not keeper(cluster).look()
    assert failure(cluster) == Failure(since, first.reason.replace("no TXT record", "SERVFAIL"))
    lego_is(MADE)
    assert keeper(cluster).look()
    assert cluster.content(PAGE_PATH).keys() == {"tls.crt", "tls.key"}
    assert cluster.content(PAGE_PATH) != before


def test_an_account_is_kept_when_the_first_certificate_is_refused(lego_is: Callable[[str], None]) -> None:
    cluster = Cluster()
    lego_is(REFUSED)
    assert not keeper(cluster).look()
    assert cluster.content(PAGE_PATH).keys() == {FAILURE_FILE}
    assert "an account" in json.loads(cluster.content(STATE_PATH)[STATE])["files"]["accounts/acme.example.com/key"]


def test_another_server_gets_another_account_and_the_certificate_stays_until_there_is_one(
    lego_is: Callable[[str], None],
) -> None:
    cluster = Cluster()
    lego_is(MADE)
    keeper(cluster).look()
    before = cluster.content(PAGE_PATH)
    lego_is('[ ! -e "$path/accounts" ] && [ ! -e "$path/certificates" ]')
    assert keeper(cluster, server="https://other.example.com/directory").look()
    assert cluster.content(PAGE_PATH) == before


@pytest.mark.parametrize("state", [b"", b"[]", b'{"server": "https://acme.example.com/directory"}', b"\xff"])
def test_a_state_that_cannot_be_read_is_made_anew(lego_is: Callable[[str], None], state: bytes) -> None:
    cluster = Cluster()
    cluster.objects[STATE_PATH]["data"] = {STATE: base64.b64encode(state).decode()}
    lego_is(MADE)
    assert keeper(cluster).look()
    assert "an account" in cluster.content(STATE_PATH)[STATE].decode()


def test_without_the_api_server_nothing_is_asked_for(lego_is: Callable[[str], None], tmp_path: Path) -> None:
    cluster = Cluster()
    lego_is(f"touch {tmp_path}/asked")
    cluster.away = True
    assert not keeper(cluster).look()
    assert not (tmp_path / "asked").exists()
    assert not keeper(Cluster(), page_namespace="elsewhere").look(), "nor does a refusal end the process"


def test_what_is_secret_is_told_to_nobody(
    lego_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DNSUPDATE_TSIG_SECRET", "hush-hush")
    lego_is(
        'echo "{\\"level\\":\\"ERROR\\",\\"error\\":\\"https://dns?key=$DNSUPDATE_TSIG_SECRET is refused\\"}"; exit 1'
    )
    cluster = Cluster()
    caplog.set_level("INFO")
    assert not keeper(cluster).look()
    assert failure(cluster).reason == "https://dns?key=*** is refused"
    assert "is refused" in caplog.text and "hush-hush" not in caplog.text


@pytest.mark.parametrize(
    "form",
    ["p%2F%22s+s%2B%26", "p%2F%22s%20s%2B%26", 'p/\\"s s+&', "cC8icyBzKyY="],
    ids=["form", "path", "JSON in JSON", "base64"],
)
def test_what_is_secret_is_told_to_nobody_in_another_form(
    lego_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    monkeypatch.setenv("DNSUPDATE_TSIG_SECRET", 'p/"s s+&')
    line = json.dumps({"level": "ERROR", "error": f"key={form} is refused"})
    lego_is(f"cat <<'END'\n{line}\nEND\nexit 1")
    cluster = Cluster()
    caplog.set_level("INFO")
    assert not keeper(cluster).look()
    assert failure(cluster).reason == "key=*** is refused"
    assert "key=*** is refused" in caplog.text and "s s+" not in caplog.text and form not in caplog.text


def test_a_short_value_breaks_no_reason(lego_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNSUPDATE_TSIG_SECRET", '"')
    lego_is(REFUSED)
    cluster = Cluster()
    assert not keeper(cluster).look()
    assert failure(cluster).reason == "obtain certificate: urn:ietf:params:acme:error:dns: no TXT record"


def test_what_was_not_stored_is_stored_later_and_not_ordered_again(
    lego_is: Callable[[str], None], tmp_path: Path
) -> None:
    cluster = Cluster()
    lego_is(f"echo asked >>{tmp_path}/asked\n{MADE}")
    kept = keeper(cluster)
    cluster.not_written[STATE_PATH] = 1
    waits = []
    for _ in range(3):
        assert not kept.look()
        waits.append(kept.wait)
    assert waits == [600, 1200, 2400]
    assert "acme-state is not written" in failure(cluster).reason
    page = cluster.content(PAGE_PATH)
    assert "tls.crt" in page, "it is good all the same"
    del cluster.not_written[STATE_PATH]
    assert kept.look() and kept.wait == 3600
    assert (tmp_path / "asked").read_text() == "asked\n"
    files = json.loads(cluster.content(STATE_PATH)[STATE])["files"]
    assert files["certificates/page.crt"].encode() == page["tls.crt"] == cluster.content(PAGE_PATH)["tls.crt"]
    assert FAILURE_FILE not in cluster.content(PAGE_PATH)


def test_nothing_is_asked_for_that_could_not_be_stored(lego_is: Callable[[str], None], tmp_path: Path) -> None:
    cluster = Cluster()
    lego_is(f"touch {tmp_path}/asked")
    cluster.not_written[STATE_PATH] = 0
    assert not keeper(cluster).look()
    assert not (tmp_path / "asked").exists()
    assert "acme-state is not written" in failure(cluster).reason


def test_a_container_that_starts_again_waits_and_another_pod_does_not(
    lego_is: Callable[[str], None], tmp_path: Path
) -> None:
    cluster = Cluster()
    asked = tmp_path / "asked"
    lego_is(f"echo asked >>{asked}\n{REFUSED}")
    for _ in range(2):
        again = keeper(cluster, "acme-a")
        assert not again.look()
        assert 590 < again.wait <= 600
    assert asked.read_text().count("asked") == 1
    tried = json.loads(cluster.content(STATE_PATH)[TRY])
    for hours, early in ((1, False), (-1, False), (0.1, True)):
        at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        content = json.dumps({**tried, "at": at}).encode()
        cluster.objects[STATE_PATH]["data"][TRY] = base64.b64encode(content).decode()
        asked.unlink(missing_ok=True)
        assert not keeper(cluster, "acme-a").look()
        assert asked.exists() != early
    asked.unlink(missing_ok=True)
    keeper(cluster, "acme-b").look()
    assert asked.exists()


def test_a_folder_that_is_full_is_no_fault_of_the_api_server(
    lego_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    lego_is(MADE)
    assert keeper(cluster).look()
    before = cluster.content(STATE_PATH)[STATE]

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert not keeper(cluster).look()
    assert failure(cluster).reason.startswith("lego's folder is not written or read: [Errno 28]")
    assert cluster.content(STATE_PATH)[STATE] == before


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "lego failed without a word"),
        ("panic: no pool\n\ngoroutine 1:\n", "goroutine 1:"),
        ('{"level":"WARN","msg":"retry"}\n{"level":"ERROR","msg":"Error","error":"first"}\nUsage\n', "first"),
        ('{"level":"ERROR","msg":"alone"}', "alone"),
        ('{"level":"ERROR","msg":"x","error":"' + 2000 * "e" + '"}', 2000 * "e"),
    ],
)
def test_a_reason_is_the_last_error(said: str, reason: str) -> None:
    assert lego.reason(said) == reason


def test_lego_that_is_missing_or_does_not_end_is_a_failure(
    lego_is: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    lego_is("sleep 60")
    monkeypatch.setattr(lego, "LONGEST_SECONDS", 0.2)
    assert not keeper(cluster).look()
    assert "had not ended after 0.2 s" in failure(cluster).reason
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not keeper(cluster).look()
    assert "lego cannot be run" in failure(cluster).reason


def test_failures_are_tried_again_ever_more_seldom_within_what_public_servers_allow() -> None:
    given = settings()
    assert pause(given, 0) == 3600
    assert [pause(given, failures) for failures in (1, 2, 3, 4, 99)] == [600, 1200, 2400, 3600, 3600]
    tries, now = 1, 0.0
    while (now := now + pause(given, tries)) < 3600:
        tries += 1
    assert tries <= 5
