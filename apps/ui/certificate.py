"""Looks now and then whether the page's certificate was renewed."""

import asyncio

from apps.service.certificate import Certificate

CHECK_SECONDS = 10.0


async def watch(certificate: Certificate) -> None:
    """Take a renewed certificate, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        certificate.look()
