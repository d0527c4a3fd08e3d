"""SSH keys as text: host keys, their fingerprints, the error for one that does not match; locked private keys."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Final, Literal

KINDS: Final = {
    "ecdsa-sha2-nistp256": "ECDSA",
    "ecdsa-sha2-nistp384": "ECDSA",
    "ecdsa-sha2-nistp521": "ECDSA",
    "ssh-ed25519": "ED25519",
}
"""ssh-keygen's name for each accepted type of key.

RSA is not accepted: pulumi-command asks for the signature algorithm named like the key's type, which for RSA uses
SHA-1, and sshd does not offer that since OpenSSH 8.8.
"""


_OPENSSH: Final = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_MAGIC: Final = b"openssh-key-v1\0"


def is_private(key: str) -> bool:
    """Whether a text looks like a private key, of any form."""
    return "PRIVATE KEY-----" in key or "PuTTY-User-Key-File" in key


def locked(key: str) -> Literal["yes", "no", "unknown"]:
    """Whether a private key has a passphrase; unknown: it has one, in a form that pulumi-command does not read."""
    if "BEGIN ENCRYPTED PRIVATE KEY" in key or "PuTTY-User-Key-File" in key:
        return "unknown"
    if "Proc-Type: 4,ENCRYPTED" in key:
        return "yes"
    if (found := _OPENSSH.search(key)) is None:
        return "no"
    try:
        raw = base64.b64decode("".join(found[1].split()))
    except binascii.Error:
        return "no"
    # The name of the cipher follows, after its length in four bytes.
    return "no" if raw[len(_MAGIC) + 4 :].startswith(b"none") or not raw.startswith(_MAGIC) else "yes"


def check_host_key(text: str) -> str:
    """The key (`type base64`) of a line as in /etc/ssh/ssh_host_ecdsa_key.pub, without comment. Raises ValueError."""
    remedy = "give the line in /etc/ssh/ssh_host_ecdsa_key.pub or ssh_host_ed25519_key.pub of the machine"
    if "PRIVATE KEY" in text:
        raise ValueError(f"this is a private key, which is no longer secret: make the machine a new one, then {remedy}")
    type_, _, rest = text.strip().partition(" ")
    if type_ not in KINDS:
        raise ValueError(f"begins with none of {', '.join(KINDS)}; {remedy}")
    encoded = rest.split(maxsplit=1)[0] if rest.strip() else ""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    # A key begins with the length and the name of its type.
    if not key.startswith(len(type_).to_bytes(4, "big") + type_.encode()):
        raise ValueError(f"what follows {type_} is no key of that type, or not all of it; {remedy}")
    return f"{type_} {encoded}"


def kind(key: str) -> str:
    """The kind of a key: ECDSA or ED25519."""
    return KINDS[key.partition(" ")[0]]


def fingerprint(key: str) -> str:
    """The SHA-256 fingerprint as ssh-keygen prints it, with the kind of key."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')} ({kind(key)})"


def preferred(keys: Sequence[str], wanted: str) -> str:
    """The first of a machine's keys that is of the wanted kind, else its first key. Raises ValueError without a key."""
    accepted = [check_host_key(key) for key in keys]
    if not accepted:
        raise ValueError("the machine has no ECDSA or Ed25519 host key")
    return next((key for key in accepted if kind(key) == wanted), accepted[0])


def another_key(expected: str, shown: Sequence[str]) -> str:
    """The error message for a machine that shows other host keys than the expected one."""
    seen = preferred(shown, kind(expected))
    return (
        f"shows the SSH host key {fingerprint(seen)}, but is known by {fingerprint(expected)}: if the machine was"
        f" reinstalled, compare on its own console (ssh-keygen -lf /etc/ssh/ssh_host_{kind(seen).lower()}_key.pub)"
        " and give that key as its hostKey in argus:machines (docs/operations.md); if it was not, another machine"
        " answers at its address"
    )
