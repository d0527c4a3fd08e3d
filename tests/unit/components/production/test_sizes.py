"""Sizes are the program's own numbers, and what must be raised for more cameras suffices."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.cluster.disks import reserve_gib
from components.pipeline.rules import rules
from components.pipeline.stages import STAGES, pod_memory_mib, volumes_gib
from components.production import measured, sizes
from components.production.pods import Pods, pods
from components.production.scale import raises, scaled
from components.production.stack import Declared, declare
from components.production.traffic import GIB, Traffic
from tests.unit.components.conftest import ROOT
from tests.unit.stacks import configuration


def of(declared: Declared, name: str) -> Pods:
    (found,) = [each for each in pods(declared) if each.name == name]
    return found


def test_pods_are_those_of_the_program(declared: Declared) -> None:
    kafka, ui = of(declared, "kafka"), of(declared, "ui")
    assert (kafka.fewest, kafka.most, kafka.volume_gib, kafka.millicores) == (3, 3, 200, 50)
    assert (kafka.memory_mib, kafka.limit_mib) == (2048 + 192, 2 * 2048 + 512)
    assert (ui.fewest, ui.most) == (1, 3)
    assert of(declared, "network-policies").most == 6
    assert of(declared, "image-cache").most == 3
    assert {each.kind for each in pods(declared) if each.most == 1 and not each.fewest} == {"Job", "CronJob"}


def test_executors_count_though_their_driver_makes_them(declared: Declared) -> None:
    executors = of(declared, "model-objects executors")
    assert (executors.fewest, executors.most, executors.memory_mib, executors.limit_mib) == (1, 3, 4096, 4096)
    assert executors.images == of(declared, "model-objects").images


def test_memory_and_volumes_are_those_that_preflight_compares_with_machines(declared: Declared) -> None:
    settings = declared.settings
    for stage in STAGES:
        found = {each.memory_mib for each in pods(declared) if each.stage == stage.name}
        for mib in pod_memory_mib([stage], settings).values():
            assert mib in found
    volumes = {each.stage: each.volume_gib for each in pods(declared) if each.volume_gib}
    assert volumes == volumes_gib(STAGES, settings)


def test_a_volume_that_is_raised_holds_what_is_asked_and_one_less_does_not(hosts: dict[str, Any]) -> None:
    declared, raised = scaled(hosts, 400)
    kept = Traffic(settings=declared.settings).kept
    for key in ("kafka.volumeGiB", "consumer.volumeGiB"):
        assert raised[key] == max(each.needed_gib for each in kept.values() if each.key == key)
    frames = kept["frames in Kafka"]
    hours = [24 * gib * GIB * frames.share / frames.bytes_a_day for gib in (frames.volume_gib, frames.volume_gib - 1)]
    assert hours[0] >= declared.settings.kafka.retention_hours > hours[1]


def test_the_stack_that_sites_copy_keeps_what_it_says_of_40_cameras(hosts: dict[str, Any]) -> None:
    given = {key.removeprefix("argus:"): section for key, section in configuration(ROOT / "Pulumi.prod.yaml").items()}
    # At the rate of all cameras.
    cameras = [{"name": "camera", "url": "rtsp://198.51.100.31/1"}]
    _, raised = scaled({**given, "cameras": cameras, "ssh": hosts["ssh"]}, 40)
    assert raised == {}


def test_more_cameras_are_the_stack_s_own_over_and_over(hosts: dict[str, Any]) -> None:
    declared, _ = scaled(hosts, 7)
    names = [camera.name for camera in declared.settings.cameras]
    assert names == ["entrance", "loading-dock", "roof", "entrance-2", "loading-dock-2", "roof-2", "entrance-3"]
    assert Traffic(settings=declared.settings).frames == 5 * 5 + 2 * 2


def test_a_login_goes_with_each_copy_of_its_camera(hosts: dict[str, Any]) -> None:
    camera = {"name": "gate", "url": "rtsp://198.51.100.31/{username}/{password}"}
    login = {"gate": {"username": "u", "password": "p"}}
    declared, _ = scaled({**hosts, "cameras": [camera], "cameraCredentials": login}, 2)
    assert declared.settings.camera_credentials.keys() == {"gate", "gate-2"}


def test_fewer_cameras_than_groups_name_and_long_names_are_no_mistake(hosts: dict[str, Any]) -> None:
    access = {"groups": {"roof": ["roof"]}}
    cameras = [{**each, "name": f"{each['name']}-{'x' * (39 - len(each['name']))}"} for each in hosts["cameras"][:2]]
    declared, _ = scaled({**hosts, "access": access, "cameras": [*cameras, *hosts["cameras"][2:]]}, 1)
    assert len(declared.settings.cameras) == 1
    declared, _ = scaled({**hosts, "access": {}, "cameras": cameras}, 5)
    assert len({camera.name for camera in declared.settings.cameras}) == 5


def test_the_larger_stack_is_one_that_the_program_takes(hosts: dict[str, Any]) -> None:
    declared, raised = scaled(hosts, 400)
    settings = declared.settings
    assert [message for rule in rules(STAGES) for message in rule.check(settings)] == []
    assert raises(settings) == {}
    assert raised["kafka.partitions"] % settings.kafka.replicas == 0
    assert len(settings.machines.workers) == raised["machines.workers"] == settings.consumer.replicas.maximum


def test_cores_grow_with_the_rate_from_what_is_used_at_rest(declared: Declared, hosts: dict[str, Any]) -> None:
    little = Traffic(settings=declared.settings)
    more = Traffic(settings=scaled(hosts, 30)[0].settings)
    assert more.frames == 10 * little.frames
    for part, cores in little.cores.items():
        assert cores < more.cores[part] <= 10 * cores, part


def test_a_wider_picture_has_more_bytes_and_no_more_records(hosts: dict[str, Any]) -> None:
    wide = {**hosts, "producers": {**hosts["producers"], "width": 1280}}
    one, other = (Traffic(settings=declare(each).settings) for each in (hosts, wide))
    assert other.frame_bytes == pytest.approx(4 * one.frame_bytes)
    assert other.results == one.results


def test_the_page_says_all_of_it(hosts: dict[str, Any]) -> None:
    found = sizes.sizes(hosts, [400])
    text = sizes.page(found)
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if (cells := [each.strip() for each in line.strip("|").split("|")])
    }
    settings = found[0].declared.settings
    disk = sum(volumes_gib(STAGES, settings).values()) + reserve_gib(member=False, minimum_disk_gib=20)
    assert rows["cameras"] == ["3 (as written)", "400"]
    assert rows["a machine: free disk that preflight asks for (GiB)"][0] == str(disk) == "921"
    assert rows["`kafka.partitions`"][0] == "as it is"
    assert rows["model-objects executors (Deployment)"][0] == "1 to 3"
    assert "measurements.md" in text and "Assumed" in text


def test_measured_tables_are_read_from_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = measured.tables()["brokers"]
    assert brokers.cores(3, 30) == pytest.approx(0.21)
    text = measured.MEASUREMENTS.read_text()
    changed = tmp_path / "measurements.md"
    monkeypatch.setattr(measured, "MEASUREMENTS", changed)
    changed.write_text(re.sub(r"\| brokers \| 7\.2 \| 0\.21 \|", "| brokers | 9 | 0.27 |", text))
    measured.tables.cache_clear()
    assert measured.tables()["brokers"].cores(3, 30) == pytest.approx(0.27)
    changed.write_text(text.replace("| brokers |", "| Kafka |"))
    measured.tables.cache_clear()
    with pytest.raises(LookupError, match=r"no row 'brokers'"):
        measured.tables()
    measured.tables.cache_clear()


def test_a_stack_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert sizes.main(["--stack", "nowhere"]) == 1
    assert "there is no stack 'nowhere'" in capsys.readouterr().err
