"""What a browser that speaks HTTP without TLS to the page's port is told: the address with https."""

import re
import ssl
from typing import Any, Final

_LONGEST: Final = 8192
"""Of the head of a request (bytes)."""
_HOST: Final = re.compile(rb"\r\nhost:[ \t]*([a-z0-9.:\[\]-]+)[ \t]*\r\n", re.IGNORECASE)
# A program that asks the API may show a token. It is to learn that its address is wrong, not to go on with it.
_FOR_PEOPLE: Final = re.compile(rb"(?:GET|HEAD) (?!/api/)(/[!-~]*) HTTP/1\.[01]\r\n")


def answer(request: bytes) -> bytes:
    """The answer to a request that begins so: the same page over TLS, or a line that says what is wrong."""
    path, host = _FOR_PEOPLE.match(request), _HOST.search(request)
    if path and host:
        status, more, body = b"308 Permanent Redirect", b"Location: https://%s%s\r\n" % (host[1], path[1]), b""
    else:
        status, more, body = b"400 Bad Request", b"Content-Type: text/plain\r\n", b"Use https:// at this port\n"
    # A browser would otherwise remember a permanent redirect, even of a page that is later served without TLS.
    head = b"HTTP/1.1 %s\r\n%sCache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (status, more, len(body)) + body


class _Tls(ssl.SSLObject):
    """One connection. What does not begin as TLS does is answered without it, and never reaches the app."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    _begun = _answered = False
    _plain = b""

    def do_handshake(self) -> None:
        if not self._begun:
            said = self.incoming.read()
            # A method of HTTP begins with a letter, TLS with the byte 22.
            if said[:1].isalpha() or self._plain:
                self._plain += said
                self._answer()
            self.incoming.write(said)
            self._begun = bool(said)
        super().do_handshake()

    def _answer(self) -> None:
        """Answer a whole head, and wait for the client to leave. asyncio ends a handshake that takes a minute."""
        if self._answered:
            raise ssl.SSLError("the client goes on without TLS")
        if b"\r\n\r\n" in self._plain or len(self._plain) > _LONGEST:
            self.outgoing.write(answer(self._plain))
            self._answered = True
        raise ssl.SSLWantReadError


class Context(ssl.SSLContext):
    """A context of TLS for the page's port."""

    sslobject_class = _Tls

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *others: Any, **named: Any) -> ssl.SSLObject:
        """A connection over these buffers."""
        made = super().wrap_bio(incoming, outgoing, *others, **named)
        assert isinstance(made, _Tls)
        made.incoming, made.outgoing = incoming, outgoing
        return made
