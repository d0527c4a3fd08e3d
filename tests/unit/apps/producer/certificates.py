"""Certificates of cameras, made with openssl."""

import hashlib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    @property
    def fingerprint(self) -> str:
        """SHA-256, as lower-case digits."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).hexdigest()

    @property
    def server(self) -> ssl.SSLContext:
        """How a camera with it speaks TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificate(
    folder: Path, name: str, *, host: str = "", by: Certificate | None = None, days: int = 2, old: bool = False
) -> Certificate:
    """A certificate with the address `host`, signed by another one or by itself; an `old` one has ended."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    request = folder / f"{name}.csr"
    _openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    (folder / f"{name}.ext").write_text(f"subjectAltName=IP:{host}\n" if host else "basicConstraints=CA:TRUE\n")
    signing = ["-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial"] if by else ["-signkey", made.key]
    ended = ["-days", "-1"] if old else ["-days", str(days)]
    extensions = ["-extfile", folder / f"{name}.ext"]
    _openssl("x509", "-req", "-in", request, "-out", made.certificate, *signing, *ended, *extensions)
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
