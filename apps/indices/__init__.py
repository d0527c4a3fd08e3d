"""Jobs for the results' indices in Elasticsearch: their template, their retention, the comparison with Kafka and disks.

They run in the consumer's image and ask Elasticsearch by the standard library: its client would cost each run more time
and memory than the few requests.
"""

import json
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any, Self

from apps.service.elasticsearch import ElasticsearchSettings
from apps.service.peer import Client

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Search:
    """Elasticsearch, asked as the settings say."""

    url: str
    context: ssl.SSLContext | None = None
    """Trusts its certificate and shows this job's; None: it is asked in plain."""

    @classmethod
    def of(cls, settings: ElasticsearchSettings) -> Self:
        """What the settings name. Raises SettingsError if a file cannot be used."""
        return cls(settings.elasticsearch_url, settings.elasticsearch_context)

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The JSON of its answer. Raises OSError (HTTPError for a refusal) or ValueError."""
        return ask(method, f"{self.url}{path}", body, context=self.context)


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    pod: Client | None = None,
    context: ssl.SSLContext | None = None,
) -> Any:
    """The JSON of the answer of Elasticsearch or, asked as `pod`, a consumer.

    Raises OSError (HTTPError for a refusal) or ValueError.
    """
    said = {"Accept": "application/json", "Content-Type": "application/json", **(pod.token.headers if pod else {})}
    request = urllib.request.Request(url, data=body, method=method, headers=said)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=pod.trust if pod else context) as response:
        return json.load(response)
