"""Keys of signers of images: public ones, as `cosign generate-key-pair` writes them, and the look of a private one."""

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
