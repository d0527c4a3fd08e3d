"""A real proxy before a real Elasticsearch node."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from apps.service.elasticsearch import ElasticsearchSettings
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.elasticsearch_identities import DIR, NODES
from tests.integration.kafka.authority import Authority
from tests.integration.services import container, free_port, listens

HOST = "localhost"


@dataclass(frozen=True)
class Door:
    """Where the proxy answers, and the authority of those whom it lets in."""

    node: str
    """The node's own URL, behind the proxy."""
    https: int
    probes: int
    authority: Authority

    @property
    def url(self) -> str:
        """The URL of the node's clients."""
        return f"https://{HOST}:{self.https}"

    def folder(self, identity: str) -> Path:
        """What a client's pod has."""
        return self.authority.identity(identity, hosts=())

    def settings(self, identity: str) -> ElasticsearchSettings:
        """What a client of Argus's own is told."""
        return ElasticsearchSettings.model_validate(
            {"elasticsearch_url": self.url, "elasticsearch_tls_dir": self.folder(identity)}
        )

    def context(self, identity: str) -> ssl.SSLContext:
        """How a client connects."""
        context = self.settings(identity).elasticsearch_context
        assert context is not None
        return context

    def client(self, identity: str) -> httpx.Client:
        """Asks as this client."""
        return httpx.Client(base_url=self.url, verify=self.context(identity), timeout=60, trust_env=False)


@contextlib.contextmanager
def door(node: str, folder: Path, authority: Authority, *, instance: str = "") -> Iterator[Door]:
    """The proxy in its image and with its configuration, before the node at this URL."""
    https, probes = free_port(), free_port()
    found = re.search(r":(\d+)$", node)
    assert found is not None
    files = {
        f"/etc/argus/{name}": text
        for name, text in {
            **proxy.files(int(found[1])),
            "nginx.conf": proxy.nginx_conf(https=https, probes=probes, node=int(found[1])),
        }.items()
    }
    with container(
        proxy.IMAGE.name,
        files=files,
        command=proxy.command()[1:],
        environment={},
        ready=lambda: listens(probes),
        data="/nowhere",
        folders={DIR: authority.identity(NODES, hosts=(HOST,))},
        instance=instance,
    ):
        yield Door(node, https, probes, authority)
