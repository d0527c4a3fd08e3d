"""How the certificate of a camera is checked: what may be given for it, in the stack and to a producer."""

import re
import ssl
from typing import Final

SCHEMES: Final = ("rtsps", "https")
"""Of the URLs of cameras that are reached through TLS."""

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")


def check_ca(text: str) -> str:
    """Return the PEM text of certificates, or raise ValueError with the remedy. The message has no part of it."""
    kinds = set(_PEM.findall(text))
    if any("PRIVATE KEY" in kind for kind in kinds):
        raise ValueError(
            "this is a private key, which is no longer secret: make the authority a new one, and give its certificate"
        )
    if kinds != {"CERTIFICATE"}:
        raise ValueError("this is no certificate: give PEM text, from -----BEGIN CERTIFICATE----- on")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError:
        raise ValueError("this certificate is damaged, or not all of it: give the whole PEM text again") from None
    return text


def check_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint as 64 lower-case digits, or raise ValueError with the remedy."""
    digits = re.sub(r"^sha256[:=]\s*|^sha256 fingerprint=", "", text.strip(), flags=re.IGNORECASE).replace(":", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        raise ValueError(
            "a SHA-256 fingerprint has 64 hexadecimal digits: `openssl x509 -noout -fingerprint -sha256 -in FILE`"
        )
    return digits.lower()


def check_one(ca: str | None, fingerprint: str | None, verify: bool) -> None:
    """Raise ValueError where more than one way to check a certificate is given."""
    given = [name for name, there in (("ca", ca), ("fingerprint", fingerprint), ("verify: false", not verify)) if there]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: keep one")
