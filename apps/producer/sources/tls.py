"""TLS with cameras: whose certificate is accepted, and what is said where it is not.

FFmpeg checks no certificate of an `rtsps://` camera unless it is told to, cannot check a fingerprint, and says of a
refusal no more than "Input/output error". So Argus makes the connection itself, and FFmpeg reads what comes out of it.
"""

import contextlib
import hashlib
import select
import socket
import ssl
import threading
from typing import Final

from apps.producer.settings import Tls
from apps.producer.sources.base import SourceError

_CHUNK: Final = 65536
_LAST_WORDS_SECONDS: Final = 1.0
_SYSTEM: Final = Tls()
_REMEDY: Final = "give its entry of argus:cameras a tls.ca or a tls.fingerprint"
_ANOTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's errors for a certificate of another host name or address; its message has the camera's."""


class UntrustedCertificate(SourceError):
    """The camera shows another certificate than the one that is accepted."""


def context(tls: Tls | None) -> ssl.SSLContext:
    """How to connect to a camera; afterwards `check` looks at what it showed."""
    tls = tls or _SYSTEM
    made = ssl.create_default_context(cadata=tls.ca)
    if tls.ca is not None:
        # As OpenSSL and FFmpeg do: an authority of one's own often lacks extensions that Python 3.13 asks for, and the
        # certificate may be that of an authority between, or of the camera.
        made.verify_flags = made.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if tls.fingerprint is not None or not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if not tls.verify:
        made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        made.set_ciphers("ALL:@SECLEVEL=0")
    return made


def check(connection: ssl.SSLSocket, tls: Tls | None) -> None:
    """Raise UntrustedCertificate unless the camera's certificate has the fingerprint, where one is given."""
    wanted = tls.fingerprint if tls is not None else None
    if wanted is None:
        return
    shown = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    if shown != wanted:
        raise UntrustedCertificate(
            f"the camera shows another certificate than that of tls.fingerprint, with the fingerprint {shown}: if the "
            "camera was given a new one, give this in argus:cameras"
        )


def connect(host: str, port: int, tls: Tls | None, seconds: float) -> ssl.SSLSocket:
    """A connection to a camera whose certificate is accepted, within about `seconds` for each step.

    Raises OSError or SourceError.
    """
    plain = socket.create_connection((host, port), timeout=seconds)
    try:
        connection = context(tls).wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    try:
        check(connection, tls)
    except BaseException:
        connection.close()
        raise
    return connection


def reason(error: ssl.SSLError) -> str:
    """Why TLS with a camera failed, with the remedy, and without its address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        named = "it names another host than the URL" if error.verify_code in _ANOTHER_NAME else error.verify_message
        return f"the camera's certificate is not trusted: {named}; {_REMEDY}"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "the camera does not speak TLS at this port"
    if isinstance(error, ssl.SSLEOFError) or error.reason is None:
        return "the camera broke the TLS connection off"
    return f"TLS with the camera fails: {error.reason.lower().replace('_', ' ')}"


def end(connection: socket.socket) -> None:
    """End a connection in which another thread may be waiting; that thread closes it."""
    with contextlib.suppress(OSError):
        # SSLSocket's own would first make the other thread go on without TLS.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Relay:
    """Passes what a program on this machine sends to a camera through TLS, and back.

    It listens on loopback for one connection, until that ends or the relay is closed.
    """

    def __init__(self, camera: ssl.SSLSocket, seconds: float) -> None:
        """`seconds` is the limit for the program to connect, and for either side to take what is sent to it."""
        self._camera = camera
        self._seconds = seconds
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listening.settimeout(seconds)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="tls-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End both connections; whoever reads from the relay finds the end of the stream."""
        end(self._listening)
        # The program's last words, such as RTSP's TEARDOWN, may be on their way.
        self._thread.join(_LAST_WORDS_SECONDS)
        end(self._camera)
        self._thread.join(self._seconds)

    def _run(self) -> None:
        with self._camera, contextlib.suppress(OSError, ValueError):
            with self._listening:
                program, _ = self._listening.accept()
            with program:
                self._pass(program)

    def _pass(self, program: socket.socket) -> None:
        """Pass bytes until either side ends."""
        while True:
            # What TLS has decrypted already does not make the socket readable.
            ready = [self._camera] if self._camera.pending() else select.select([self._camera, program], [], [])[0]
            for source, target in ((self._camera, program), (program, self._camera)):
                if source not in ready:
                    continue
                source.settimeout(0)
                try:
                    data = source.recv(_CHUNK)
                except ssl.SSLWantReadError:
                    # What came is of TLS itself, or a part of a record.
                    continue
                if not data:
                    return
                target.settimeout(self._seconds)
                target.sendall(data)
