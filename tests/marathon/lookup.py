"""Asks a DNS server for one name over UDP: `python -m tests.marathon.lookup ADDRESS`, in a machine's network.

Any answer says that the server is there. Exit status: 0 with one, 3 without.
"""

import socket
import struct
import sys

NAME = "kubernetes.default.svc.cluster.local"
ANSWERED, SILENT = 0, 3
TRIES, TRY_S = 2, 2.0
_PORT = 53


def question(name: str, identity: int) -> bytes:
    """A question for the name's IPv4 address (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", identity, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def asked(address: str, port: int = _PORT, tries: int = TRIES, try_s: float = TRY_S) -> str | None:
    """None if the server answers, else what came instead."""
    said = ""
    for identity in range(1, tries + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(try_s)
            try:
                client.connect((address, port))
                client.send(question(NAME, identity))
                if client.recv(4096)[:2] == struct.pack(">H", identity):
                    return None
                said = "an answer to another question"
            except TimeoutError:
                said = f"no answer in {try_s:g} s"
            except OSError as error:
                said = error.strerror or str(error)
    return f"{address}:{port}: {said} ({tries} tries)"


if __name__ == "__main__":
    without = asked(sys.argv[1])
    print(without or "answered")
    sys.exit(SILENT if without else ANSWERED)
