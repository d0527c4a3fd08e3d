"""Certificates for tests."""

import atexit
import re
import secrets
import shutil
import subprocess
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from apps.messages.names import METRICS_HOST

SCRIPT: Final = Path(__file__).parents[1] / "components/pipeline/certificate.sh"
AUTHORITY: Final = "ca.pem"
NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
"""Arguments of `openssl req`."""
HERE: Final = ("127.0.0.1", "localhost")


def certificate(folder: Path, name: str) -> Path:
    """A new folder with tls.crt and tls.key for localhost; the certificate is its own authority. Returns the folder."""
    folder.mkdir()
    named = ("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost")
    openssl("req", "-x509", *NEW_KEY, *named, "-keyout", folder / "tls.key", "-out", folder / "tls.crt")
    return folder


def lasting(begins: datetime, ends: datetime) -> str:
    """A certificate that is good between these times, as PEM text; openssl makes none that began earlier."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "argus")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def openssl(*arguments: str | Path, given: str = "") -> bytes:
    """What openssl prints. Raises CalledProcessError if it fails."""
    command = ["openssl", *arguments]
    return subprocess.run(command, input=given.encode(), capture_output=True, check=True, timeout=60).stdout


class PodAuthority:
    """An authority of a stack for the certificates of its pods, as `pulumi up` makes it."""

    def __init__(self) -> None:
        self._pem = run("authority", "argus-pods")

    def write(self, folder: Path, *hosts: str) -> Path:
        """Write to a folder, made if it is new, what pods at these hosts have, and the authority's certificate.

        Returns the folder.
        """
        folder.mkdir(exist_ok=True)
        blocks = re.findall(
            r"-----BEGIN .+?-----END [^-]+-----\n", run("server", "pods", *hosts, given=self._pem), re.DOTALL
        )
        for name, text in zip(("tls.key", "tls.crt", AUTHORITY), blocks, strict=True):
            (folder / name).write_text(text)
        return folder


@cache
def of_pods() -> Path:
    """The folder of a pod that others ask at this computer; it is deleted with the process."""
    return _authority().write(_folder(), *HERE)


@cache
def of_metrics() -> Path:
    """The folder of a pod that answers metrics, with their token; its certificate is of the same authority."""
    folder = _authority().write(_folder(), METRICS_HOST)
    (folder / "token").write_text(secrets.token_urlsafe(32))
    return folder


@cache
def _authority() -> PodAuthority:
    return PodAuthority()


def _folder() -> Path:
    """A new folder, which is deleted with the process."""
    folder = Path(tempfile.mkdtemp(prefix="argus-tls-"))
    # For containers with another user.
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def run(*arguments: str, given: str | None = None) -> str:
    """What certificate.sh prints."""
    done = subprocess.run(
        ["bash", str(SCRIPT), *arguments], input=given, text=True, capture_output=True, check=True, timeout=60
    )
    return done.stdout
