"""A private key of SSH that no machine knows, for stacks that reach none."""

from typing import Final

UNKNOWN_KEY: Final = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
