"""The certificate that Argus makes for the page: browsers that have the authority take it, and pods read it again."""

import asyncio
import re
import ssl
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apps.service.certificate import Certificate
from apps.ui.__main__ import OLDEST_TLS
from components.pipeline import page_certificate
from components.pipeline.certificates import BLOCK, ROOT
from components.pipeline.page_certificate import DAYS, SCRIPT
from tests.unit.components.pipeline.conftest import declare, settings

NAMES = ("192.0.2.10", "argus.example.com")


def blocks(text: str) -> list[str]:
    return BLOCK.findall(text)


def run(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        ["bash", str(SCRIPT), *arguments], input=given, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture(scope="module")
def authority() -> str:
    return run("authority")


def page(authority: str, *names: str) -> str:
    return run("page", str(DAYS), *(names or NAMES), given=authority)


def write(folder: Path, printed: str) -> Path:
    """A folder as a pod has it."""
    folder.mkdir(exist_ok=True)
    for name, text in zip(("tls.key", "tls.crt"), blocks(printed), strict=True):
        (folder / name).write_text(text)
    return folder


def shown(certificate: Certificate, authority: str, name: str) -> dict[str, Any]:
    """The certificate that a client sees which trusts the authority and asks for this name."""
    trust = ssl.create_default_context(cadata=blocks(authority)[1])

    async def ask() -> dict[str, Any]:
        server = await asyncio.start_server(lambda _, to: to.close(), "127.0.0.1", 0, ssl=certificate.context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, to = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
            found = to.get_extra_info("peercert")
            to.close()
            return dict(found)

    return asyncio.run(ask())


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_has_the_authority_takes_it_for_each_name(tmp_path: Path, authority: str, name: str) -> None:
    found = shown(Certificate(write(tmp_path / "tls", page(authority)), OLDEST_TLS), authority, name)
    end = ssl.cert_time_to_seconds(found["notAfter"])
    assert (DAYS - 1) * 86400 < end - time.time() <= DAYS * 86400


def test_another_name_or_authority_is_refused(tmp_path: Path, authority: str) -> None:
    served = Certificate(write(tmp_path / "tls", page(authority)), OLDEST_TLS)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shown(served, authority, "elsewhere.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        shown(served, run("authority"), NAMES[0])


def test_a_running_pod_takes_the_renewed_one(tmp_path: Path, authority: str) -> None:
    served = Certificate(write(tmp_path / "tls", page(authority)), OLDEST_TLS)
    before = shown(served, authority, NAMES[0])["serialNumber"]
    write(tmp_path / "tls", page(authority))
    served.look()
    assert shown(served, authority, NAMES[0])["serialNumber"] != before


def test_the_page_s_certificate_vouches_for_no_other(tmp_path: Path, authority: str) -> None:
    printed = page(authority)
    forged = run("page", str(DAYS), "192.0.2.99", given=printed)
    served = Certificate(write(tmp_path / "tls", forged), OLDEST_TLS)
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(served, authority + blocks(printed)[1], "192.0.2.99")


def commands(pulumi_mocks: Any, printed: dict[str, str], **ui: Any) -> dict[str, Any]:
    """The Commands that the page's certificate is made by, and the Secret, with what the commands print."""
    pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": printed.get(name, "")}
    pulumi_mocks.resources.clear()
    pulumi_mocks.run(lambda: declare(ui=ui))
    return {each.name: each for each in pulumi_mocks.resources if each.name.startswith("ui-tls")}


def test_keys_are_secrets_and_the_authority_s_is_in_no_pod(pulumi_mocks: Any, authority: str) -> None:
    printed = {"ui-tls-authority": authority, "ui-tls-page": page(authority)}
    made = commands(pulumi_mocks, printed, url="https://argus.example.com", tlsNames=["192.0.2.11"])
    key, certificate = blocks(printed["ui-tls-page"])
    secret = made["ui-tls-secret"]
    assert secret.inputs["stringData"] == {"tls.key": key, "tls.crt": certificate}
    assert secret.inputs["type"] == "kubernetes.io/tls" and secret.inputs["metadata"]["name"] == "ui-tls"
    assert "stringData" in secret.secret_inputs
    assert made["ui-tls-page"].inputs["stdin"] == authority and "stdin" in made["ui-tls-page"].secret_inputs
    for name in ("ui-tls-authority", "ui-tls-page"):
        assert made[name].inputs["logging"] == "none"
    line = blocks(authority)[0].splitlines()[1]
    assert [each.name for each in pulumi_mocks.resources if line in str(each.inputs)] == ["ui-tls-page"]
    endpoint = settings().cluster.endpoint
    command = made["ui-tls-page"].inputs["create"]
    assert command.endswith(f"page_certificate.sh page {DAYS} {endpoint} argus.example.com 192.0.2.11")
    assert (ROOT / command.split()[1]) == SCRIPT, "it is run from the program's folder"


def test_the_certificate_is_made_anew_each_quarter_and_the_authority_on_request(
    pulumi_mocks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inputs(month: int, **ui: Any) -> tuple[Any, Any]:
        class Then(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime(2027, month, 5, tzinfo=UTC)

        monkeypatch.setattr(page_certificate, "datetime", Then)
        made = commands(pulumi_mocks, {}, **ui)
        return made["ui-tls-authority"].inputs, made["ui-tls-page"].inputs

    january, march, april = inputs(1), inputs(3), inputs(4)
    assert january == march != april
    assert january[0] == april[0], "the authority stays"
    assert "triggers" not in april[1], "it is an update, not a replacement"
    assert inputs(1, tlsRedraw="2027")[0]["triggers"] != january[0].get("triggers")


def test_the_pods_serve_it_unless_the_page_is_to_be_plain(pulumi_mocks: Any) -> None:
    def texts() -> str:
        return str([each.inputs for each in pulumi_mocks.resources if each.name.startswith("ui-")])

    commands(pulumi_mocks, {})
    assert re.search(r"'secretName': 'ui-tls'", texts()) and "ARGUS_TLS_DIR" in texts()
    assert commands(pulumi_mocks, {}, tls="off") == {}
    assert "ARGUS_TOKEN_FILE" in texts() and "ARGUS_TLS_DIR" not in texts()
