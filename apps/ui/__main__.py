"""`python -m apps.ui`: serves until SIGTERM."""

import logging
import ssl
import sys

import uvicorn

from apps.service.certificate import Certificate
from apps.service.process import on_stop, run
from apps.ui.acme import AcmeCertificate
from apps.ui.app import create_app
from apps.ui.connections import Bounded
from apps.ui.plain_http import Context
from apps.ui.settings import Settings

GRACEFUL_SECONDS = 5
OLDEST_TLS = ssl.TLSVersion.TLSv1_2
"""Of browsers."""


def work(settings: Settings) -> int:
    """Serve until told to stop. Returns the process's exit status."""
    for chatty in ("httpx", "elastic_transport"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # uvicorn raises the signal again after it has stopped. With this handler, a requested stop exits with 0.
    on_stop(lambda: None)
    certificate = Certificate(settings.tls_dir, OLDEST_TLS, Context) if settings.tls_dir else None
    acme = AcmeCertificate(settings.acme_dir, certificate, OLDEST_TLS) if certificate and settings.acme_dir else None
    uvicorn.run(
        create_app(settings, certificate, acme),
        host="0.0.0.0",
        port=settings.http_port,
        http=Bounded,
        access_log=False,
        # Anybody can write X-Forwarded-For; uvicorn would believe it of whoever comes through `kubectl port-forward`.
        proxy_headers=False,
        server_header=False,
        log_config=None,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(Settings, work))
