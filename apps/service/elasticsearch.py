"""Where Elasticsearch is, and what an app shows it (ADR 48)."""

import ssl
from pathlib import Path

from pydantic import Field, field_validator

from apps.service.peer import TLS_VERSION
from apps.service.settings import Settings, SettingsError


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
        try:
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            context.load_cert_chain(folder / "tls.pem")
        except OSError as unusable:  # ssl.SSLError is one
            raise SettingsError(f"ARGUS_ELASTICSEARCH_TLS_DIR: {folder} cannot be used: {unusable}") from unusable
        context.minimum_version = TLS_VERSION
        return context
