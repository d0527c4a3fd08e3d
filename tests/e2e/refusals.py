"""Who is refused by brokers and by the proxies before Elasticsearch's nodes, of those that should not be."""

import re
from collections.abc import Iterable

from components.pipeline import elasticsearch_proxy
from tests.e2e.cluster import NAMESPACE
from tests.e2e.conftest import running_settings
from tests.e2e.machines import kubectl

_UNSENT = r"status=40[03]|\b(403|413|415)\b"
"""What Filebeat says of a request or an event that was refused."""


def members(service: str) -> list[str]:
    """The pods of a service that has a fixed number of them."""
    return [f"{service}-{ordinal}" for ordinal in range(getattr(running_settings(), service).replicas)]


def refusals() -> dict[str, list[str]]:
    """The lines by pod in which one says since its start that it refused a client something, or was refused it."""
    filebeats = kubectl("cp1", f"-n {NAMESPACE} get pods -l app.kubernetes.io/name=filebeat -o name")
    return {
        **_lines(members("kafka"), "kafka", "Denied"),
        **_lines(members("elasticsearch"), elasticsearch_proxy.NAME, "refused: "),
        **_lines(filebeats, "filebeat", _UNSENT),
    }


def _lines(pods: Iterable[str], container: str, pattern: str) -> dict[str, list[str]]:
    found = {pod: kubectl("cp1", f"-n {NAMESPACE} logs {pod} -c {container}") for pod in pods}
    return {pod: lines for pod, said in found.items() if (lines := [line for line in said if re.search(pattern, line)])}
