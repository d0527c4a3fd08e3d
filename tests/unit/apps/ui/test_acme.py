"""The certificate of an ACME server: who is shown it, and what the operator is told where it is not renewed."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apps.messages.certificate import FAILURE_FILE, Failure
from apps.service.certificate import Certificate
from apps.service.expiry import EXPIRY
from apps.ui.__main__ import OLDEST_TLS
from apps.ui.acme import AcmeCertificate
from apps.ui.plain_http import Context
from tests.certificates import certificate

NAME = "argus.example.com"
SINCE = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


def issue(folder: Path, common: str = "acme", *, days: tuple[float, float] = (-10, 80)) -> None:
    """Write a pair for NAME to the folder, valid between these days from now on."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    begin, end = (datetime.now(UTC) + timedelta(days=each) for each in days)
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def fail(folder: Path, reason: str = "no TXT record") -> None:
    (folder / FAILURE_FILE).write_bytes(Failure(SINCE, reason).to_json())


def shown(own: Certificate, name: str | None) -> str:
    """The name of the certificate that a client gets who asks for this name."""
    here, there = socket.socketpair()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    got: list[bytes] = []

    def connect() -> None:
        with context.wrap_socket(there, server_hostname=name) as client:
            got.append(client.getpeercert(binary_form=True) or b"")

    thread = threading.Thread(target=connect)
    thread.start()
    with own.context.wrap_socket(here, server_side=True):
        thread.join()
    (common,) = x509.load_der_x509_certificate(got[0]).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common.value)


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return Certificate(certificate(tmp_path / "own", "own"), OLDEST_TLS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As Kubernetes mounts a Secret that is empty."""
    made = tmp_path / "acme"
    made.mkdir()
    return made


def test_who_asks_for_its_name_is_shown_it_as_soon_as_it_is_there(own: Certificate, folder: Path) -> None:
    acme = AcmeCertificate(folder, own, OLDEST_TLS)
    assert shown(own, NAME) == "own"
    issue(folder)
    acme.look()
    assert shown(own, NAME) == shown(own, NAME.upper()) == "acme"
    issue(folder, "renewed")
    acme.look()
    assert shown(own, NAME) == "renewed"


@pytest.mark.parametrize("name", [None, "192.0.2.10", "localhost"])
def test_whoever_asks_for_the_address_or_another_name_is_shown_the_page_s_own(
    own: Certificate, folder: Path, name: str | None
) -> None:
    issue(folder)
    AcmeCertificate(folder, own, OLDEST_TLS)
    assert shown(own, name) == "own"


def test_one_that_cannot_be_used_changes_nothing(own: Certificate, folder: Path) -> None:
    issue(folder)
    acme = AcmeCertificate(folder, own, OLDEST_TLS)
    (folder / "tls.key").write_text("nonsense")
    acme.look()
    assert shown(own, NAME) == "acme"
    (folder / "tls.crt").unlink()
    acme.look()
    assert shown(own, NAME) == "acme"


def test_the_page_s_own_context_may_choose(tmp_path: Path, folder: Path) -> None:
    made = Certificate(certificate(tmp_path / "page", "page"), OLDEST_TLS, Context)
    issue(folder)
    AcmeCertificate(folder, made, OLDEST_TLS)
    client, server = ssl.create_default_context(), (ssl.MemoryBIO(), ssl.MemoryBIO())
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    # As asyncio does it: the two ends of one connection, over buffers.
    there = client.wrap_bio(server[1], server[0], server_hostname=NAME)
    here = made.context.wrap_bio(*server, server_side=True)
    for _ in range(4):
        for end in (there, here):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = x509.load_der_x509_certificate(there.getpeercert(binary_form=True) or b"")
    assert found.subject.rfc4514_string() == "CN=acme"


def test_nothing_is_said_of_one_that_is_good(own: Certificate, folder: Path) -> None:
    issue(folder)
    assert AcmeCertificate(folder, own, OLDEST_TLS).notice is None
    assert EXPIRY.labels("acme")._value.get() > datetime.now(UTC).timestamp() + 79 * 86400


def test_a_failure_is_said_with_its_reason_and_how_long_there_is_a_certificate(own: Certificate, folder: Path) -> None:
    issue(folder, days=(-60, 1))
    fail(folder)
    acme = AcmeCertificate(folder, own, OLDEST_TLS)
    end = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    assert acme.notice is not None
    assert "failed since 2026-11-30 10:00 UTC" in acme.notice and f"good until {end}" in acme.notice
    assert acme.notice.endswith("The reason: no TXT record")
    assert shown(own, NAME) == "acme"
    issue(folder)
    (folder / FAILURE_FILE).unlink()
    acme.look()
    assert acme.notice is None


def test_the_first_one_that_is_missing_is_said_and_why(own: Certificate, folder: Path) -> None:
    acme = AcmeCertificate(folder, own, OLDEST_TLS)
    assert acme.notice is not None and "kubectl -n argus-acme logs" in acme.notice
    fail(folder, "the account is not known")
    acme.look()
    assert acme.notice.endswith("The reason: the account is not known") and "shown Argus's own" in acme.notice


@pytest.mark.parametrize(
    ("days", "hours", "told"), [((-10, 80), 1.9, False), ((-10, 80), 2.1, True), ((-70, 20), 0.1, True)]
)
def test_a_server_may_be_away_for_a_while_as_long_as_the_certificate_has_time(
    own: Certificate, folder: Path, days: tuple[float, float], hours: float, told: bool
) -> None:
    issue(folder, days=days)
    failed = Failure(datetime.now(UTC) - timedelta(hours=hours), "connection refused")
    (folder / FAILURE_FILE).write_bytes(failed.to_json())
    assert (AcmeCertificate(folder, own, OLDEST_TLS).notice is not None) == told


@pytest.mark.parametrize(
    ("days", "late"),
    [((-60, 30), False), ((-70, 20), True), ((-90, -1), True), ((-330, 70), False), ((-340, 59), True)],
)
def test_one_that_nobody_renews_is_said(own: Certificate, folder: Path, days: tuple[float, float], late: bool) -> None:
    """The pod that would renew it and say why it cannot may itself not run."""
    issue(folder, days=days)
    notice = AcmeCertificate(folder, own, OLDEST_TLS).notice
    assert (notice is not None) == late
    assert notice is None or "nobody renews it" in notice


@pytest.mark.parametrize("failed", [False, True])
def test_one_that_has_ended_is_shown_no_more_and_the_end_is_said(own: Certificate, folder: Path, failed: bool) -> None:
    issue(folder, days=(-90, -1))
    if failed:
        fail(folder)
    notice = AcmeCertificate(folder, own, OLDEST_TLS).notice
    end = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert notice is not None and f"ended on {end}" in notice and "good until" not in notice
    assert ("The reason: no TXT record" in notice) == failed
    assert shown(own, NAME) == "own"


def test_a_failure_that_somebody_else_wrote_is_no_failure(own: Certificate, folder: Path) -> None:
    issue(folder)
    for content in ("", "{}", "[]", '{"since": "yesterday", "reason": ""}'):
        (folder / FAILURE_FILE).write_text(content)
        assert AcmeCertificate(folder, own, OLDEST_TLS).notice is None
