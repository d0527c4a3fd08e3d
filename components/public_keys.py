"""Public keys as PEM text: those that images are signed with."""

import base64
import binascii
import hashlib
import re
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", re.DOTALL)
_SEQUENCE: Final = 0x30
"""What the DER form of a key begins with; its length follows."""
_LONG: Final = 0x80
"""With this bit, the byte says how many bytes of length follow."""


def check_public_key(text: str) -> str:
    """The one public key in a PEM text, without anything else. Raises ValueError with the remedy."""
    remedy = "give the text of cosign.pub, which `cosign generate-key-pair` makes"
    if "PRIVATE KEY" in text:
        raise ValueError(f"this is a private key, which is no longer secret: make a new pair, then {remedy}")
    found = _PEM.findall(text)
    if len(found) != 1:
        raise ValueError(f"has {len(found)} public keys (-----BEGIN PUBLIC KEY-----) in PEM form, not one; {remedy}")
    body = "".join(found[0].split())
    if not _whole(_der(body)):
        raise ValueError(f"what is between BEGIN and END is no key, or not all of it; {remedy}")
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def fingerprint(key: str) -> str:
    """The SHA-256 of a key's DER form, as `openssl pkey -pubin -outform DER | sha256sum` prints it."""
    return hashlib.sha256(_der("".join(_PEM.findall(key)[0].split()))).hexdigest()


def _whole(der: bytes) -> bool:
    """Whether it is one DER sequence, neither cut off nor followed by anything."""
    if len(der) < 2 or der[0] != _SEQUENCE:
        return False
    more = der[1] & ~_LONG if der[1] & _LONG else 0
    length = int.from_bytes(der[2 : 2 + more]) if more else der[1]
    return len(der) == 2 + more + length


def _der(body: str) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return b""
