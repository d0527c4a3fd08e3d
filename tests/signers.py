"""Keys of signers of images: public ones, as `cosign generate-key-pair` writes them, and the look of a private one."""

from pathlib import Path
from typing import Final

KEY: Final = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDbEIOdxdlZStKsxv6KCFWt7nrFMB
PcxQVtgKxnoDyXkL4HAgvKTxfVDCkVHMTK+wTD5VhbUWCP/h2Gwt5Odzbw==
-----END PUBLIC KEY-----
"""
OTHER_KEY: Final = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELNK1GWO1HvYw7Wq2fXT+Y9UPwBuq
lLoGp+hyU3sN74VRqPIM5wjJICxZ6sK9ZgWTpWaDpKotDc8Wkt5IP/k/sg==
-----END PUBLIC KEY-----
"""
PRIVATE_KEY: Final = (
    "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nhush\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
)
"""It signs nothing."""


def stand_in(folder: Path, name: str) -> Path:
    """A folder with a program of this name that does nothing, for what only looks whether it is there."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / name).write_text("#!/bin/sh\n")
    (programs / name).chmod(0o755)
    return programs
