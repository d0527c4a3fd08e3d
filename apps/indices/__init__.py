"""Jobs for the results' indices in Elasticsearch: their template, their retention, the comparison with Kafka and disks.

They run in the consumer's image and ask Elasticsearch by the standard library: its client would cost each run more time
and memory than the few requests.
"""

import json
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT_SECONDS = 60


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Any:
    """The JSON of the answer of Elasticsearch or a consumer. Raises OSError (HTTPError for a refusal) or ValueError."""
    said = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=body, method=method, headers=said)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as response:
        return json.load(response)
