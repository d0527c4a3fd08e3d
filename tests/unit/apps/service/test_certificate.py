"""A server shows a renewed certificate without a restart."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from apps.service.certificate import Certificate
from apps.service.settings import SettingsError
from tests.certificates import certificate, openssl

OLDEST = ssl.TLSVersion.TLSv1_2


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path / "first", "first"), certificate(tmp_path / "second", "second")


def mounted(folder: Path, version: Path) -> Path:
    """A folder as Kubernetes mounts a Secret: files are links through `..data`, which is swapped as a whole."""
    folder.mkdir(exist_ok=True)
    new = folder / "..data_tmp"
    new.symlink_to(version)
    new.replace(folder / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    return folder


def shown(served: Certificate) -> str:
    """The name in the certificate that a client gets now."""
    here, there = socket.socketpair()
    client_context = ssl.create_default_context()
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    got: list[bytes] = []

    def connect() -> None:
        with client_context.wrap_socket(there) as client:
            got.append(client.getpeercert(binary_form=True) or b"")

    thread = threading.Thread(target=connect)
    thread.start()
    with served.context.wrap_socket(here, server_side=True):
        thread.join()
    named = openssl("x509", "-noout", "-subject", given=ssl.DER_cert_to_PEM_cert(got[0]))
    return named.decode().rpartition("=")[2].strip()


def test_a_renewed_certificate_is_shown_to_the_next_client(tmp_path: Path, versions: tuple[Path, Path]) -> None:
    first, second = versions
    served = Certificate(mounted(tmp_path / "tls", first), OLDEST)
    served.look()
    assert shown(served) == "first"
    mounted(tmp_path / "tls", second)
    served.look()
    assert shown(served) == "second"


def test_one_that_cannot_be_used_changes_nothing(
    tmp_path: Path, versions: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = versions
    served = Certificate(mounted(tmp_path / "tls", first), OLDEST)
    (second / "tls.key").write_bytes((first / "tls.key").read_bytes())
    mounted(tmp_path / "tls", second)
    served.look()
    assert "stays as it was" in caplog.text
    assert shown(served) == "first"
    (second / "tls.crt").unlink()
    served.look()
    assert shown(served) == "first"


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_at_the_start_it_must_be_whole(tmp_path: Path, versions: tuple[Path, Path], missing: str) -> None:
    (versions[0] / missing).unlink()
    with pytest.raises(SettingsError, match=r"tls\.crt and tls\.key cannot be used"):
        Certificate(mounted(tmp_path / "tls", versions[0]), OLDEST)
    (versions[1] / missing).write_text("nonsense")
    with pytest.raises(SettingsError, match="cannot be used"):
        Certificate(versions[1], OLDEST)
