"""The page's connections: an exchange that takes too long is cut off, and there are only so many at a time."""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 512
"""Of which each may take some 300 KiB with TLS. A browser has six."""
EXCHANGE_SECONDS: Final = 60.0
"""For a request, from its first byte or the connection's beginning, and its answer, until the client has read it."""


class Bounded(H11Protocol):
    """A connection of uvicorn's, which itself waits for ever for a request to end, or for an answer to be read."""

    _ends: asyncio.TimerHandle | None = None
    _unread = False
    """Whether the last answer had not been sent as a whole when it was made."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Close it at once if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._begin()

    def data_received(self, data: bytes) -> None:
        """A part of a request."""
        self._begin()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """An answer has been made."""
        self._unread = self.transport.get_write_buffer_size() > 0
        if not self._unread:
            self._end()
        # A request that came meanwhile is begun here.
        super().on_response_complete()
        if not self.cycle.response_complete:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._ends is None:
            self._ends = self.loop.call_later(EXCHANGE_SECONDS, self._cut_off)

    def _end(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _cut_off(self) -> None:
        self._ends = None
        if self._unread and self.transport.get_write_buffer_size() == 0:
            # It has been read meanwhile, and the time was that of its exchange.
            self._unread = False
            self._begin()
        else:
            self.transport.abort()
