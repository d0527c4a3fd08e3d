"""Which certificates the page warns of, when, and in which words."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from apps.service.expiry import EXPIRY, Validity
from apps.ui.expiring import ExpiringCertificates, is_due, notice
from tests.certificates import lasting

NOW = datetime(2029, 4, 1, 12, tzinfo=UTC)
STACK, PAGE, BROUGHT = timedelta(days=1095), timedelta(days=397), timedelta(days=90)


@pytest.fixture(autouse=True)
def _no_certificate() -> Iterator[None]:
    yield
    EXPIRY.clear()


def left(days: float, life: timedelta = STACK) -> Validity:
    """A certificate of this life with so many days left."""
    ends = NOW + timedelta(days=days)
    return Validity(ends - life, ends)


@pytest.mark.parametrize(("life", "days"), [(STACK, 60), (PAGE, 60), (BROUGHT, 22.5), (timedelta(days=47), 11.75)])
def test_from_when_on_it_is_due(life: timedelta, days: float) -> None:
    assert not is_due(left(days + 0.01, life), NOW)
    assert is_due(left(days, life), NOW) and is_due(left(-1, life), NOW)


def test_one_that_is_renewed_in_time_is_never_due() -> None:
    """A certificate of 90 days by a program that renews it at two thirds of its life, and the stack's each year."""
    assert not is_due(left(30, BROUGHT), NOW)
    assert not is_due(left(1095 - 366), NOW)


def test_the_line_says_whose_end_when_and_what_to_do() -> None:
    stack = {
        "kafka.producer": left(40),
        "kafka.filebeat": left(40),
        "zookeeper.member": left(40),
        "elasticsearch.ui": left(-2),
        "pods.consumer": left(200),
    }
    assert notice(stack, left(200, PAGE), NOW) == (
        "The certificate for Elasticsearch of ui ended on 2029-03-30. "
        "The certificate for Kafka of filebeat, producer ends on 2029-05-11. "
        "The certificate for ZooKeeper of member ends on 2029-05-11. "
        "Run `pulumi up`, which renews them."
    )


def test_the_page_s_own_may_be_one_that_was_brought() -> None:
    assert notice({}, left(10, BROUGHT), NOW) == (
        "The page's certificate ends on 2029-04-11. Run `pulumi up`, which renews it; if it is your own, change the "
        "Secret that argus:ui.tlsSecret names."
    )


def test_nothing_is_said_where_nothing_is_due() -> None:
    assert notice({"kafka.producer": left(61)}, None, NOW) is None
    assert notice({}, None, NOW) is None


def samples() -> dict[str, float]:
    return {
        sample.labels["certificate"]: sample.value
        for metric in REGISTRY.collect()
        if metric.name == "argus_certificate_expiry_timestamp_seconds"
        for sample in metric.samples
    }


def test_the_files_are_read_again_as_kubernetes_replaces_them(tmp_path: Path) -> None:
    folder, page = tmp_path / "list", tmp_path / "tls.crt"

    def mounted(version: str, **days: float) -> None:
        """As a kubelet writes a ConfigMap: the files are links into a folder that it replaces."""
        made = folder / version
        made.mkdir(parents=True)
        for name, number in days.items():
            file, link = (each / f"{name.replace('_', '.')}.crt" for each in (made, folder))
            file.write_text(lasting(NOW - STACK, NOW + timedelta(days=number)))
            link.unlink(missing_ok=True)
            link.symlink_to(file)

    mounted("..1", kafka_producer=30, kafka_ui=31)
    page.write_text(lasting(NOW - PAGE, NOW + timedelta(days=20)))
    shown = ExpiringCertificates(folder, page)
    shown.look(NOW)
    assert shown.notice is not None
    assert shown.notice.startswith("The certificate for Kafka of producer ends on 2029-05-01.")
    assert "The page's certificate ends on 2029-04-21." in shown.notice
    assert samples() == {
        name: (NOW + timedelta(days=number)).timestamp() for name, number in (("kafka.producer", 30), ("kafka.ui", 31))
    }
    mounted("..2", kafka_producer=1000)
    (folder / "kafka.ui.crt").unlink()
    page.write_text(lasting(NOW, NOW + PAGE))
    shown.look(NOW)
    assert shown.notice is None
    assert samples() == {"kafka.producer": (NOW + timedelta(days=1000)).timestamp()}


def test_before_there_is_a_list_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        shown = ExpiringCertificates(tmp_path / "none", None)
        shown.look(NOW)
    assert shown.notice is None and caplog.text == ""


def test_a_file_that_cannot_be_read_is_named_and_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kafka.ui.crt").write_text("nonsense")
    (tmp_path / "pods.producer.crt").write_text(lasting(NOW - STACK, NOW + timedelta(days=1)))
    shown = ExpiringCertificates(tmp_path, tmp_path / "gone")
    shown.look(NOW)
    assert shown.notice is not None and "producer" in shown.notice
    assert "kafka.ui.crt" in caplog.text and "gone" in caplog.text
