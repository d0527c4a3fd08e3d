"""Jobs for the results' indices in Elasticsearch: their template, their retention, the comparison with Kafka and disks.

They run in the consumer's image and ask Elasticsearch by the standard library: its client would cost each run more time
and memory than the few requests.
"""

import json
import urllib.request
from typing import Any

from apps.service.peer import Client

TIMEOUT_SECONDS = 60


def ask(method: str, url: str, body: bytes | None = None, pod: Client | None = None) -> Any:
    """The JSON of the answer of Elasticsearch or, asked as `pod`, a consumer.

    Raises OSError (HTTPError for a refusal) or ValueError.
    """
    said = {"Accept": "application/json", "Content-Type": "application/json", **(pod.token.headers if pod else {})}
    request = urllib.request.Request(url, data=body, method=method, headers=said)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=pod.trust if pod else None) as response:
        return json.load(response)
