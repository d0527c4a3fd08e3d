"""Certificates of cameras, made with openssl."""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import NEW_KEY, openssl


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
    openssl("req", "-new", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    (folder / f"{name}.ext").write_text(f"subjectAltName=IP:{host}\n" if host else "basicConstraints=CA:TRUE\n")
    signing = ["-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial"] if by else ["-signkey", made.key]
    ended = ["-days", "-1"] if old else ["-days", str(days)]
    extensions = ["-extfile", folder / f"{name}.ext"]
    openssl("x509", "-req", "-in", request, "-out", made.certificate, *signing, *ended, *extensions)
    return made
