"""The answer to an HTTP server that asks for a login: Digest (RFC 7616) where it is offered, else Basic (RFC 7617)."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from apps.producer.settings import Credentials

_CHALLENGES = re.compile(r"(?:^|,)\s*(digest|basic)\b", re.IGNORECASE)
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES: Final = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""The supported algorithms, the strongest first."""


def authorization(challenges: Sequence[str], credentials: Credentials, method: str, target: str) -> bytes | None:
    """The Authorization header for a request, from the WWW-Authenticate headers of the refusal.

    None if it offers nothing that is known here. Without any such header Basic is tried, as some cameras expect.
    """
    offered = [each for header in challenges for each in _split(header)]
    digests = [parameters for scheme, parameters in offered if scheme == "digest"]
    for algorithm in _HASHES:
        for parameters in digests:
            if _algorithm(parameters) == algorithm and parameters.get("nonce") and _qop(parameters) is not None:
                return _digest(parameters, credentials, method, target)
    if not challenges or any(scheme == "basic" for scheme, _ in offered):
        pair = f"{credentials.username}:{credentials.password.get_secret_value()}"
        return b"Basic " + base64.b64encode(pair.encode())
    return None


def _split(header: str) -> list[tuple[str, dict[str, str]]]:
    """The challenges of one header: scheme and parameters."""
    found = list(_CHALLENGES.finditer(header))
    ends = [*(each.start() for each in found), len(header)][1:]
    return [(each[1].lower(), _parameters(header[each.end() : end])) for each, end in zip(found, ends, strict=False)]


def _parameters(text: str) -> dict[str, str]:
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PARAMETER.findall(text)
    }


def _algorithm(parameters: Mapping[str, str]) -> str:
    return parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")


def _qop(parameters: Mapping[str, str]) -> str | None:
    """The quality of protection to use: `auth`, empty for the oldest form, None if only others are offered."""
    offered = parameters.get("qop", "").lower()
    return "" if not offered else "auth" if "auth" in re.split(r"[\s,]+", offered) else None


def _digest(parameters: Mapping[str, str], credentials: Credentials, method: str, target: str) -> bytes:
    name = parameters.get("algorithm", "MD5")
    realm, nonce, qop = parameters.get("realm", ""), parameters["nonce"], _qop(parameters)
    cnonce, count = secrets.token_hex(8), "00000001"

    def hashed(*parts: str) -> str:
        return _HASHES[_algorithm(parameters)](":".join(parts).encode(), usedforsecurity=False).hexdigest()

    user = hashed(credentials.username, realm, credentials.password.get_secret_value())
    if name.upper().endswith("-SESS"):
        user = hashed(user, nonce, cnonce)
    request = hashed(method, target)
    response = hashed(user, nonce, count, cnonce, qop, request) if qop else hashed(user, nonce, request)
    quoted = {"username": credentials.username, "realm": realm, "nonce": nonce, "uri": target, "response": response}
    if "opaque" in parameters:
        quoted["opaque"] = parameters["opaque"]
    plain = {"algorithm": name} if "algorithm" in parameters else {}
    if qop or name.upper().endswith("-SESS"):
        quoted["cnonce"] = cnonce
    if qop:
        plain |= {"qop": qop, "nc": count}
    fields = [f'{key}="{_escaped(value)}"' for key, value in quoted.items()]
    return ("Digest " + ", ".join(fields + [f"{key}={value}" for key, value in plain.items()])).encode()


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value)
