"""How the stack's pods know each other: a client shows the token, a server its certificate (ADR 43).

Both are always asked for together, so that the token is never sent in plain. Who reads metrics does the same, with a
token and certificates of their own (ADR 57).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from apps.service.certificate import Certificate
from apps.service.settings import AnsweringSettings, AskingSettings, MeasuredSettings, SettingsError
from apps.service.token import ADMIT_OLD_SCRAPERS_SECONDS, Token

TLS_VERSION = ssl.TLSVersion.TLSv1_3
SCRAPERS_TOKEN = "token"
"""The file with the token for metrics, in ARGUS_METRICS_DIR."""


@dataclass(frozen=True)
class Client:
    """A pod that asks others."""

    token: Token
    trust: ssl.SSLContext

    @classmethod
    def of(cls, settings: AskingSettings) -> Client:
        """What the settings name. Raises SettingsError if a file cannot be used."""
        return cls(Token(settings.token_file), trust(settings.authority_file))


@dataclass(frozen=True)
class Door:
    """What a pod asks of those whom it answers, and shows them."""

    token: Token
    certificate: Certificate

    @classmethod
    def of(cls, settings: AnsweringSettings) -> Door:
        """What the settings name. Raises SettingsError if a file cannot be used."""
        return cls(Token(settings.token_file), Certificate(settings.tls_dir, TLS_VERSION))

    @classmethod
    def of_metrics(cls, settings: MeasuredSettings) -> Door:
        """That before metrics. Raises SettingsError if a file cannot be used."""
        folder = settings.metrics_dir
        token = Token(
            folder / SCRAPERS_TOKEN, variable="ARGUS_METRICS_DIR", admit_old_seconds=ADMIT_OLD_SCRAPERS_SECONDS
        )
        return cls(token, Certificate(folder, TLS_VERSION))


def trust(authority: Path) -> ssl.SSLContext:
    """Trusts the certificates of the stack's authority for pods, at the names that they have, and no others."""
    return client_context("ARGUS_AUTHORITY_FILE", authority, authority)


def client_context(variable: str, given: Path, authority: Path, pair: Path | None = None) -> ssl.SSLContext:
    """Trusts the certificates of an authority, at the names that they have, and no others, and shows the certificate
    of `pair`, a file with that and its private key.

    The files are read once. Raises SettingsError, with the variable and what it gave, if they cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
        if pair is not None:
            context.load_cert_chain(pair)
    except OSError as unusable:  # ssl.SSLError is one
        raise SettingsError(f"{variable}: {given} cannot be used: {unusable}") from unusable
    context.minimum_version = TLS_VERSION
    return context
