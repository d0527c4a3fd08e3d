"""Where Elasticsearch is, and what an app shows it (ADR 48)."""

import ssl
from pathlib import Path

from pydantic import Field, field_validator

from apps.service.peer import client_context
from apps.service.settings import Settings


class ElasticsearchSettings(Settings):
    """Settings of an app that asks Elasticsearch."""

    elasticsearch_url: str = Field(pattern=r"^https?://")
    elasticsearch_tls_dir: Path | None = None
    """The folder with `tls.pem` (a private key and its certificate) and `ca.pem`; None: it connects in plain."""

    @field_validator("elasticsearch_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def elasticsearch_context(self) -> ssl.SSLContext | None:
        """Trusts the nodes' authority and shows this app's certificate; None where it connects in plain.

        The files are read once. Raises SettingsError if they cannot be used.
        """
        folder = self.elasticsearch_tls_dir
        if folder is None:
            return None
        return client_context("ARGUS_ELASTICSEARCH_TLS_DIR", folder, folder / "ca.pem", folder / "tls.pem")

    @property
    def certificates(self) -> dict[str, Path]:
        """Those of the app, and that for Elasticsearch."""
        folder = self.elasticsearch_tls_dir
        return super().certificates | ({} if folder is None else {"elasticsearch": folder / "tls.pem"})
