"""When a certificate ends, as a program's metrics say it."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from apps.consumer.settings import Settings as ConsumerSettings
from apps.service import process
from apps.service.expiry import EXPIRY, validity
from apps.service.settings import Settings, read
from apps.spark_jobs.settings import Settings as DriverSettings
from apps.spark_jobs.status import Status
from apps.ui.settings import Settings as UiSettings
from tests.certificates import lasting, run
from tests.environments import variables

BEGIN = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_certificate() -> Iterator[None]:
    yield
    EXPIRY.clear()


def shown(certificate: str) -> float | None:
    return REGISTRY.get_sample_value("argus_certificate_expiry_timestamp_seconds", {"certificate": certificate})


# From 2050 on a certificate has its times in another way.
@pytest.mark.parametrize("ends", [datetime(2049, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_its_times_are_read_whatever_stands_around_it(ends: datetime) -> None:
    key = run("authority").partition("-----END CERTIFICATE-----\n")[2]
    first = lasting(BEGIN, ends)
    for text in (first, f"{key}{first}{lasting(BEGIN, BEGIN + timedelta(days=2))}"):
        found = validity(text)
        assert (found.begins, found.ends) == (BEGIN, ends)


def test_what_the_program_makes_lasts_for_three_years() -> None:
    found = validity(run("identity", "kafka", "localhost", given=run("authority")))
    assert found.ends - found.begins == timedelta(days=1095)
    assert abs(datetime.now(UTC) - found.begins) < timedelta(minutes=5)


def test_what_is_none_is_not_taken_for_one() -> None:
    whole = lasting(BEGIN, BEGIN + timedelta(days=1))
    lines = whole.splitlines(keepends=True)
    begin, end = lines[0], lines[-1]
    for text in (
        "",
        run("authority").partition("-----END CERTIFICATE-----\n")[2],
        f"{begin}{end}",
        f"{begin}AAAA\n{end}",
        f"{begin}MAA=\n{end}",
        f"{begin}MAIwAA==\n{end}",
        "".join([*lines[:3], end]),
        whole.replace(lines[1][:4], "****"),
    ):
        with pytest.raises(ValueError):
            validity(text)


def test_a_program_s_metrics_follow_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"pods": tmp_path / "tls/tls.crt", "kafka": tmp_path / "kafka/tls.pem"}
    for file in files.values():
        file.parent.mkdir()
        file.write_text(lasting(BEGIN, BEGIN + timedelta(days=90)))
    folders = {"tls_dir": str(tmp_path / "tls"), "kafka_tls_dir": str(tmp_path / "kafka")}
    for name, value in variables("apps.consumer", **folders).items():
        monkeypatch.setenv(name, value)
    assert process.run(ConsumerSettings, lambda _: 0) == 0
    assert {name: shown(name) for name in files} == dict.fromkeys(files, (BEGIN + timedelta(days=90)).timestamp())
    files["kafka"].write_text(lasting(BEGIN, BEGIN + timedelta(days=1095)))
    assert shown("kafka") == (BEGIN + timedelta(days=1095)).timestamp()
    files["pods"].unlink()
    files["kafka"].write_text("nonsense")
    assert all(math.isnan(shown(name) or 0) for name in files)


def test_a_driver_s_metrics_have_it_too() -> None:
    EXPIRY.labels("kafka").set(1.0)
    named = "argus_certificate_expiry_timestamp_seconds"
    for _ in range(2):
        registry = Status(["objects"], stall_seconds=60).registry
        assert registry.get_sample_value(named, {"certificate": "kafka"}) == 1.0


def test_which_files_are_the_app_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def certificates(app: str, settings: type[Settings], **folders: str) -> dict[str, Path]:
        with monkeypatch.context() as environment:
            environment.setattr("os.environ", variables(app, **folders))
            return read(settings).certificates

    assert certificates("apps.consumer", ConsumerSettings).keys() == {"pods"}
    assert certificates("apps.ui", UiSettings) == certificates("apps.spark_jobs", DriverSettings) == {}
    assert certificates(
        "apps.ui", UiSettings, kafka_tls_dir="/kafka", elasticsearch_tls_dir="/search", tls_dir="/page"
    ) == {
        "kafka": Path("/kafka/tls.pem"),
        "elasticsearch": Path("/search/tls.pem"),
        "browsers": Path("/page/tls.crt"),
    }
    driver = certificates("apps.spark_jobs", DriverSettings, kafka_tls_dir="/secrets")
    assert driver == {"kafka": Path("/secrets/tls.pem")}
