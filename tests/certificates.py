"""Certificates for tests."""

import subprocess
from pathlib import Path


def certificate(folder: Path, name: str) -> Path:
    """A new folder with tls.crt and tls.key for localhost; the certificate is its own authority. Returns the folder."""
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder
