"""The settings of the pod that keeps the page's certificate, from the environment.

What is optional has lego's own variables (`LEGO_EMAIL`, `LEGO_CA_CERTIFICATES`, those of a DNS provider, …), which lego
reads itself.
"""

from pydantic import Field

from apps.service import settings
from apps.service.settings import Words


class Settings(settings.Settings):
    """The environment of the pod."""

    server: str = Field(min_length=1)
    """The URL of the ACME server's directory."""

    names: Words = Field(min_length=1)
    """The DNS names of the certificate."""

    dns_provider: str = Field(min_length=1)
    """Where the names' TXT records are made, as lego names it."""

    credentials: Words
    """The variables whose values are secret, and are not told to anybody."""

    state_secret: str = Field(min_length=1)
    """The Secret of this namespace in which lego's account and certificate are kept."""

    page_namespace: str = Field(min_length=1)
    page_secret: str = Field(min_length=1)
    """The Secret of that namespace from which the page's pods read the certificate."""

    look_seconds: float = Field(default=3600, gt=0)
    """How often lego is asked whether the certificate is due."""

    retry_seconds: float = Field(default=600, gt=0)
    """The time until the first try after a failure; each further one comes after twice the time of the one before, up
    to `look_seconds`. Public servers allow five failures of a name in an hour."""
