"""Which machines are checked again."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from components.cluster.preflight import Preflight, PreflightError
from components.config.sections import Encryption
from components.remote import Ssh
from tests.unit.components.answers import printed
from tests.unit.components.cluster.conftest import preflight_args
from tests.unit.components.conftest import Recorder, ssh_options

FACTS = {
    "skew_seconds": 0,
    "os": "debian",
    "os_version": "12",
    "systemd": True,
    "root": True,
    "hostname": "cp1",
    "machine_id": "aaa",
    "memory_mib": 4000,
    "containerd": "1.6.20~ds1",
    "disk_mib": 40_000,
    "disks": ["/var/lib 1 99000 90000", "/var/lib/argus/volumes 1 99000 90000"],
    "volumes": [],
    "swap": [],
    "ports_in_use": [],
    "firewalls": [],
    "addresses": ["192.0.2.11"],
    "macs": ["02:00:00:00:00:11"],
    "virtual_ip_holder": "",
    "encrypts": True,
    "cluster": "",
}
ADDRESS = "192.0.2.11"


def checks(mocks: Recorder, at: float, monkeypatch: pytest.MonkeyPatch, **args: Any) -> dict[str, str]:
    """Run an update at this second with a machine that answers `FACTS`. Returns the checks' inputs by address."""
    monkeypatch.setattr(time, "time", lambda: at)
    mocks.resources.clear()
    mocks.outputs["command:remote:Command"] = lambda name, inputs: {"stdout": printed(json.dumps(FACTS))}

    def program() -> Any:
        preflight = Preflight("preflight", preflight_args(**args))
        return preflight.passed["cp1"].apply(lambda _: preflight.checks)

    made: Mapping[str, str] = mocks.run(program)
    assert mocks.named("preflight-cp1").inputs["stdin"] == made[ADDRESS]
    return dict(made)


def test_a_machine_is_checked_until_it_is_a_member(pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checks(pulumi_mocks, 1000, monkeypatch)
    assert first[ADDRESS].startswith("1000 ")
    # Nothing is known of an incomplete first update.
    assert checks(pulumi_mocks, 2000, monkeypatch)[ADDRESS].startswith("2000 ")
    assert checks(pulumi_mocks, 3000, monkeypatch, checks=first) == first


@pytest.mark.parametrize(
    "change",
    [
        {"ssh": Ssh(options=ssh_options(rerun="again"))},
        {"cluster": {"minimumMemoryMiB": 2000}},
        {"cluster": {"endpoint": "192.0.2.20"}},
        {"cluster": {"firewalls": "opened"}},
        {"volumes_gib": {"kafka": 1}, "volume_encryption": Encryption.model_validate({"key": "key1"})},
    ],
)
def test_a_member_is_asked_again_when_the_question_changes(
    pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    first = checks(pulumi_mocks, 1000, monkeypatch)
    assert checks(pulumi_mocks, 2000, monkeypatch, checks=first, **change)[ADDRESS].startswith("2000 ")


def test_another_machine_of_the_same_name_is_asked(pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = {"192.0.2.99": checks(pulumi_mocks, 1000, monkeypatch)[ADDRESS]}
    assert checks(pulumi_mocks, 2000, monkeypatch, checks=earlier)[ADDRESS].startswith("2000 ")


def test_an_accepted_member_is_not_judged_by_what_it_was_before(
    pulumi_mocks: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checks(pulumi_mocks, 1000, monkeypatch)
    monkeypatch.setitem(FACTS, "virtual_ip_holder", "02:99:99:99:99:99")
    assert checks(pulumi_mocks, 2000, monkeypatch, checks=first) == first
    with pytest.raises(PreflightError, match=r"in use by 02:99:99:99:99:99"):
        checks(pulumi_mocks, 2000, monkeypatch)


@pytest.mark.parametrize("said", ["", "This account is currently not available.\n", json.dumps(FACTS)])
def test_a_machine_whose_facts_are_not_understood_does_not_pass(pulumi_mocks: Recorder, said: str) -> None:
    pulumi_mocks.outputs["command:remote:Command"] = lambda name, inputs: {"stdout": said}
    with pytest.raises(
        PreflightError, match=r"cp1 \(192\.0\.2\.11\): answers over SSH, but its facts are not understood"
    ):
        pulumi_mocks.run(lambda: Preflight("preflight", preflight_args()).passed["cp1"])
