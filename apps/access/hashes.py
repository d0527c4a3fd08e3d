"""Hashes of passwords and tokens, as text: scheme, parameters, salt and hash, separated by `$`.

A password is hashed by scrypt, which is slow on purpose. A token, or a password that a program drew, is a random number
of 256 bits that nobody can guess, so one SHA-256 is enough, and it costs a request nothing.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from typing import Final

_LOG_N, _R, _P = 14, 8, 5
"""OWASP's parameters for scrypt with 16 MiB of memory, so that a login fits in a small pod."""

_MAX_MEMORY: Final = 2**26
_MAX_P: Final = 16
_SALT_BYTES: Final = 16
_B64 = r"[A-Za-z0-9+/]+={0,2}"
_PASSWORD = re.compile(rf"scrypt\$(\d{{1,2}})\$(\d{{1,2}})\$(\d{{1,2}})\$({_B64})\$({_B64})")
_TOKEN = re.compile(r"sha256\$[0-9a-f]{64}")


def hash_password(password: str) -> str:
    """The hash of a password, with a new salt."""
    salt = os.urandom(_SALT_BYTES)
    return "$".join(
        ["scrypt", str(_LOG_N), str(_R), str(_P), _text(salt), _text(_scrypt(password, salt, _LOG_N, _R, _P))]
    )


def new_token() -> str:
    """A new random token of 256 bits."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """The hash of a random token; the same for the same token."""
    return f"sha256${hashlib.sha256(token.encode()).hexdigest()}"


def check_password_hash(text: str) -> str:
    """The text, if it is the hash of a password. Raises ValueError with the remedy."""
    found = _PASSWORD.fullmatch(text)
    if found is None:
        raise ValueError("not the hash of a password; `python -m components.config.password` makes one")
    log_n, r, p = (int(each) for each in found.groups()[:3])
    if not (log_n >= 10 and r and 128 * r * 2**log_n <= _MAX_MEMORY and 1 <= p <= _MAX_P):
        raise ValueError(
            "a hash with parameters that the page does not take; `python -m components.config.password` makes one"
        )
    return text


def check_token_hash(text: str) -> str:
    """The text, if it is the hash of a token. Raises ValueError with the remedy."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("not the hash of a token; `python -m components.config.password --token` makes both")
    return text


def check_hash(text: str) -> str:
    """The text, if it is the hash of a password or of a token. Raises ValueError with the remedy."""
    return check_password_hash(text) if is_slow(text) else check_token_hash(text)


def is_slow(stored: str) -> bool:
    """Whether it takes long to verify against this hash: it is a password's, not a random token's."""
    return not stored.startswith("sha256$")


def verify(secret: str, stored: str) -> bool:
    """Whether the secret has this hash. Takes some tenths of a second for a password."""
    if not is_slow(stored):
        return hmac.compare_digest(hash_token(secret), stored)
    found = _PASSWORD.fullmatch(stored)
    if found is None:
        return False
    log_n, r, p = (int(each) for each in found.groups()[:3])
    salt, wanted = (base64.b64decode(each) for each in found.groups()[3:])
    return hmac.compare_digest(_scrypt(secret, salt, log_n, r, p), wanted)


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    n = 2**log_n
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 2) + 2**20, dklen=32)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
