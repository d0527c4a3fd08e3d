import math
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from apps.service.certificate import Certificate
from apps.service.http import WELL
from apps.service.peer import TLS_VERSION, Door
from apps.service.token import Token
from apps.spark_jobs.status import Status, serve
from tests.certificates import of_metrics
from tests.environments import TOKEN_FILE
from tests.unit.apps.scraper import scrape

TOKEN = Token(TOKEN_FILE)


@pytest.fixture
def status() -> Status:
    return Status(["objects", "motion"], stall_seconds=60)


def test_health_is_for_everybody_and_metrics_for_who_shows_the_token(status: Status) -> None:
    status.models["objects"].rejected.inc(3)
    door = Door(TOKEN, Certificate(of_metrics(), TLS_VERSION))
    probed, measured = servers = serve(status, 0, 0, door)
    address = f"http://127.0.0.1:{probed.port}"
    try:
        status_code, metrics = scrape(measured.port, **TOKEN.headers)
        assert status_code == 200
        assert 'argus_spark_rejected_total{model="objects"} 3.0' in metrics
        assert 'argus_spark_rejected_total{model="motion"} 0.0' in metrics
        assert scrape(measured.port)[0] == 401
        assert urlopen(f"{address}/healthz").read() == WELL
        with pytest.raises(HTTPError, match="503"):
            urlopen(f"{address}/readyz")
        status.sign_of_life()
        assert urlopen(f"{address}/readyz").read() == WELL
        for path in ("/metrics", "/other"):
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"{address}{path}")
    finally:
        for server in servers:
            server.close()


def test_a_driver_that_waits_for_another_is_ready_and_well() -> None:
    status = Status(["objects"], stall_seconds=60)
    status.waiting(None)
    assert status.readiness()[0] == 503, "there may be no other, and nothing works yet"
    status.waiting("model-objects-old")
    assert status.readiness() == (200, "ready to take over\n")
    # Still ready after the other driver has ended.
    status.sign_of_life()
    assert status.readiness() == (200, "ok\n")


def test_waiting_is_not_stalling() -> None:
    status = Status(["objects"], stall_seconds=0.5)
    status._last_sign -= 10
    assert status.health()[0] == 503
    status.waiting(None)
    assert status.health()[0] == 200


def test_the_lag_is_unknown_before_kafka_was_asked(status: Status) -> None:
    for model in ("objects", "motion"):
        lag = status.registry.get_sample_value("argus_spark_lag_records", {"model": model})
        assert lag is not None
        assert math.isnan(lag)


def test_a_stalled_job_is_not_healthy() -> None:
    assert Status(["objects"], stall_seconds=-1).health()[0] == 503


def test_a_failed_query_is_not_healthy(status: Status) -> None:
    status.failure = "the broker is gone"
    assert status.health() == (503, "failed: the broker is gone\n")
