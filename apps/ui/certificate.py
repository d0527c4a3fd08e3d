"""Looks now and then whether the page's certificate was renewed."""

import asyncio
from typing import Protocol

CHECK_SECONDS = 10.0


class Renewed(Protocol):
    """A certificate that is renewed beside the process."""

    def look(self) -> None:
        """Take a renewed one for every connection from now on."""


async def watch(certificate: Renewed) -> None:
    """Take a renewed certificate, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        certificate.look()
