"""SSH host keys that look real, for tests without connections."""

import base64
import hashlib


def host_key(owner: str, type_: str = "ecdsa-sha2-nistp256") -> str:
    """The public key for this name, always the same."""
    point = hashlib.sha256(owner.encode()).digest()
    curve = type_.rpartition("-")[2].encode()
    parts = [type_.encode(), point] if type_ == "ssh-ed25519" else [type_.encode(), curve, b"\4" + point + point]
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{type_} {base64.b64encode(blob).decode()}"
