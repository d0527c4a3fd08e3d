"""A registry as a company has one: TLS by an authority of its own, and logins. Debian's docker-registry."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.production import serving
from tests.certificates import NEW_KEY, openssl
from tests.integration.services import free_port, listens, wait_for

_BCRYPT = "$2y$05$abcdefghijklmnopqrstuu"
"""The kind of hash that docker-registry takes, the least work, and a salt."""


@dataclass(frozen=True, kw_only=True)
class PrivateRegistry:
    """A registry that answers to its logins alone."""

    host: str
    """`address:port`"""
    ca: str
    """The PEM text of its authority's certificate."""
    folder: Path

    def let_in(self, logins: Mapping[str, str]) -> None:
        """Let these users in with these passwords, and nobody else; the registry reads its file at each request."""
        lines = [f"{user}:{_hashed(password)}\n" for user, password in logins.items()]
        # In place, and with another time: the registry looks at that.
        (self.folder / "htpasswd").write_text("".join(lines))

    def stack(self, **logins: dict[str, str]) -> dict[str, Any]:
        """What a stack says of it under `images.registries`."""
        return {self.host: {**logins, "ca": self.ca}}


@contextmanager
def private_registry(folder: Path, address: str = "127.0.0.1") -> Iterator[PrivateRegistry]:
    """A registry at this address, which nobody is let in to yet."""
    folder.mkdir()
    port = free_port()
    made = PrivateRegistry(host=f"{address}:{port}", ca=_authority(folder, address), folder=folder)
    made.let_in({"nobody": "nothing"})
    config = json.loads(serving.registry_config(folder / "data", made.host))
    config["http"]["tls"] = {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}
    config["auth"] = {"htpasswd": {"realm": "registry", "path": str(folder / "htpasswd")}}
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(serving.registry_command(folder / "config.json"), stdout=log, stderr=log)
        try:
            wait_for("the registry", lambda: listens(port, address))
            yield made
        finally:
            process.terminate()
            process.wait(timeout=30)


def _authority(folder: Path, address: str) -> str:
    """Make an authority, and a certificate of its own for the address; return the authority's certificate."""
    ca = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key")
    named = ("-subj", "/CN=a company", "-days", "2", "-addext", "basicConstraints=critical,CA:true")
    openssl("req", "-x509", *NEW_KEY, *named, "-keyout", ca[3], "-out", ca[1])
    request = folder / "tls.csr"
    openssl("req", *NEW_KEY, "-subj", "/CN=registry", "-keyout", folder / "tls.key", "-out", request)
    (folder / "extensions").write_text(f"subjectAltName=IP:{address}\n")
    signed = ("-days", "2", "-extfile", folder / "extensions", "-out", folder / "tls.crt")
    openssl("x509", "-req", "-in", request, *ca, "-CAcreateserial", *signed)
    return (folder / "ca.crt").read_text()


def _hashed(password: str) -> str:
    """A password as htpasswd has it; by perl, as Python has no bcrypt."""
    perl = ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, _BCRYPT]
    return subprocess.run(perl, capture_output=True, text=True, check=True).stdout
