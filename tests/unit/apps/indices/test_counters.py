"""What answers for a Filebeat: its counters for who shows the token, and whether it is ready for kubelets."""

import asyncio
import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.indices.counters import output_events, serve
from apps.indices.settings import CountersSettings
from apps.messages.names import COMPARISON, FILEBEAT, METRICS_PORT_NAME
from apps.messages.report import Report
from apps.service.http import NOT_WELL, WELL
from apps.service.peer import SCRAPERS_TOKEN, trust
from apps.service.settings import SettingsError
from apps.service.token import HEADER, Token
from apps.ui.not_searchable import NAME, NotSearchable
from apps.ui.not_searchable import output_events as read_by_the_page
from tests.certificates import AUTHORITY, PodAuthority, of_metrics
from tests.environments import AUTHORITY_FILE, TOKEN_FILE
from tests.unit.apps.scraper import scrape

EVENTS = {"acked": 90, "active": 2, "dropped": 7, "batches": 4}
TOKEN = (of_metrics() / "token").read_text()


class FakeFilebeat(http.server.ThreadingHTTPServer):
    """Answers as Filebeat does at its HTTP endpoint."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stats: Any = {"beat": {}, "libbeat": {"output": {"type": "elasticsearch", "events": EVENTS}}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        beat: Any = self.server
        body = json.dumps({"beat": "filebeat"} if self.path == "/" else beat.stats).encode()
        self.send_response(beat.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: Any) -> None:
        pass


@pytest.fixture
def beat() -> Iterator[FakeFilebeat]:
    beat = FakeFilebeat()
    threading.Thread(target=beat.serve_forever, daemon=True).start()
    yield beat
    beat.shutdown()
    beat.server_close()


def settings(port: int, folder: Path) -> CountersSettings:
    return CountersSettings.model_validate(
        {"metrics_port": 0, "metrics_dir": folder, "probe_port": 0, "filebeat_port": port}
    )


@pytest.fixture
def ports(beat: FakeFilebeat) -> Iterator[tuple[int, int]]:
    """Those of probes and of metrics."""
    servers = serve(settings(beat.server_port, of_metrics()))
    yield servers[0].port, servers[1].port
    for server in servers:
        server.close()


def probe(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_its_counters_are_answered_as_the_page_and_prometheus_read_them(ports: tuple[int, int]) -> None:
    _, port = ports
    status, text = scrape(port, Authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert read_by_the_page(text) == {
        "acked": 90,
        "active": 2,
        "dead_letter": 0,
        "dropped": 7,
        "duplicates": 0,
        "failed": 0,
        "toomany": 0,
    }


def test_the_page_reads_them_at_the_pod_s_address_by_the_name_that_all_show(
    beat: FakeFilebeat, ports: tuple[int, int], tmp_path: Path
) -> None:
    pod = {
        "metadata": {"name": "filebeat-1", "labels": {NAME: FILEBEAT}},
        "spec": {"containers": [{"ports": [{"name": METRICS_PORT_NAME, "containerPort": ports[1]}]}]},
        "status": {"podIP": "127.0.0.1"},
    }
    report = Report(at=datetime.now(UTC).isoformat())
    compared = {
        "metadata": {"name": "comparison-1", "labels": {NAME: COMPARISON}},
        "status": {"containerStatuses": [{"state": {"terminated": {"finishedAt": "", "message": report.json()}}}]},
    }

    async def said(trusted: Path) -> list[str | None]:
        async with httpx.AsyncClient(trust_env=False, verify=trust(trusted)) as client:
            shown = NotSearchable(client, Token(of_metrics() / SCRAPERS_TOKEN))
            notices = []
            for dropped in (7, 12):
                beat.stats = {"libbeat": {"output": {"events": {**EVENTS, "dropped": dropped}}}}
                await shown.take([compared, pod])
                notices.append(shown.notice)
            return notices

    first, second = asyncio.run(said(AUTHORITY_FILE))
    assert first is None and second is not None and "refused 5 results" in second
    another = PodAuthority().write(tmp_path / "another", "another") / AUTHORITY
    assert asyncio.run(said(another)) == [None, None], "what another's certificate answers is not believed"


def test_who_shows_no_token_or_another_s_or_asks_in_plain_learns_nothing(ports: tuple[int, int]) -> None:
    probes, port = ports
    assert scrape(port)[0] == 401
    # That by which pods know each other is for their own questions alone.
    assert scrape(port, **{HEADER: TOKEN_FILE.read_text().strip()})[0] == 401
    assert "dropped" not in scrape(port, Authorization="Bearer another")[1]
    with pytest.raises((http.client.HTTPException, OSError)):
        probe(port, "/metrics")
    with pytest.raises(ssl.SSLCertVerificationError):
        scrape(port, name="consumer-0.consumer", Authorization=f"Bearer {TOKEN}")
    assert probe(probes, "/metrics")[0] == probe(probes, "/stats")[0] == 404


def test_a_filebeat_that_does_not_answer_is_not_ready_and_this_is_well(
    beat: FakeFilebeat, ports: tuple[int, int]
) -> None:
    probes, port = ports
    assert probe(probes, "/readyz") == probe(probes, "/healthz") == (200, WELL)
    beat.status = 500
    assert probe(probes, "/readyz") == (503, NOT_WELL)
    assert probe(probes, "/healthz") == (200, WELL)
    status, text = scrape(port, Authorization=f"Bearer {TOKEN}")
    assert status == 200
    with pytest.raises(ValueError, match="no counters"):
        read_by_the_page(text)
    beat.status = 200
    assert probe(probes, "/readyz") == (200, WELL)
    assert read_by_the_page(scrape(port, Authorization=f"Bearer {TOKEN}")[1])["dropped"] == 7


def test_what_is_not_filebeat_s_answer_is_no_counter(beat: FakeFilebeat, ports: tuple[int, int]) -> None:
    for answer in ({}, {"libbeat": {"output": []}}, [], {"libbeat": {"output": {"events": {"dropped": "x"}}}}):
        with pytest.raises(ValueError):
            output_events(answer)
        beat.stats = answer
        assert scrape(ports[1], Authorization=f"Bearer {TOKEN}") == (200, "")


def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ARGUS_METRICS_DIR: cannot read .*/token"):
        serve(settings(5066, tmp_path))
