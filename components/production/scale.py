"""The same stack with another number of cameras, and with those of its numbers raised that would not suffice."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from apps.spark_jobs.scaling import ROOM
from components.config import Settings
from components.pipeline.stages import STAGES
from components.production.measured import cost_of
from components.production.stack import Declared, Sections, declare
from components.production.traffic import Traffic

_SPARE: Final = IPv4Network("198.18.0.0/15")
"""Addresses of no network (RFC 2544), for machines that the stack would have to add."""


def scaled(sections: Sections, cameras: int) -> tuple[Declared, Mapping[str, int]]:
    """What the program declares for so many cameras, and the keys that must be raised for them, with their values.

    Cameras are those of the stack, over and over. Raised is what holds the load or, of volumes, what the stack asks to
    keep; nothing is lowered.
    """
    grown = _with_cameras(sections, cameras)
    needed = raises(declare_settings(grown))
    for key, value in needed.items():
        _set(grown, key, value)
    return declare(grown), needed


def declare_settings(sections: Sections) -> Settings:
    """The settings, not yet checked against each other: what is too small is raised afterwards."""
    return Settings.model_validate({**sections, "ssh": {"privateKey": "unused"}})


def raises(settings: Settings) -> dict[str, int]:
    """Each key whose value is too small for the stack's own cameras and retention, with the value that suffices."""
    traffic = Traffic(settings=settings)
    found: dict[str, int] = {}

    def at_least(key: str, has: int, needs: int) -> int:
        if needs > has:
            found[key] = needs
        return max(has, needs)

    tasks = [settings.kafka.partitions]
    for index, model in enumerate(settings.models):
        if model.application is not None:
            continue
        ms = sum(cost_of(each).record_ms for each in settings.applications[model.name])
        cores = traffic.frames * ms / 1000 / ROOM
        executors = math.ceil(cores / model.cores_per_executor)
        most = at_least(f"models[{index}].executors.maximum", model.executors.maximum, executors)
        tasks.append(most * model.cores_per_executor)
    pods = [settings.kafka.replicas, settings.zookeeper.replicas, settings.elasticsearch.replicas]
    for stage in STAGES:
        if not stage.reads:
            continue
        replicas = getattr(settings, stage.section).replicas
        load = sum({"frames": traffic.frames, "results": traffic.results}[topic] for topic in stage.reads)
        needs = math.ceil(load / replicas.records_per_second)
        most = at_least(f"{stage.section}.replicas.maximum", replicas.maximum, needs)
        if stage.keeps_data:
            # A fixed number, as the key's description says why.
            at_least(f"{stage.section}.replicas.minimum", replicas.minimum, needs)
            pods.append(most)
        tasks.append(most)
    brokers = settings.kafka.replicas
    partitions = max(tasks)
    if partitions > settings.kafka.partitions:
        at_least("kafka.partitions", settings.kafka.partitions, math.ceil(partitions / brokers) * brokers)
    return {**found, **_volumes(settings, found), **_workers(settings, max(pods))}


def _volumes(settings: Settings, raised: Mapping[str, int]) -> dict[str, int]:
    """The volumes that do not hold what they are to keep, where there are as many consumers as are needed."""
    consumers = raised.get("consumer.replicas.minimum", settings.consumer.replicas.minimum)
    section = settings.consumer
    replicas = section.replicas.model_copy(update={"minimum": consumers, "maximum": consumers})
    settings = settings.model_copy(update={"consumer": section.model_copy(update={"replicas": replicas})})
    found: dict[str, int] = {}
    for kept in Traffic(settings=settings).kept.values():
        if kept.needed_gib > kept.volume_gib:
            found[kept.key] = max(kept.needed_gib, found.get(kept.key, 0))
    return found


def _workers(settings: Settings, pods: int) -> dict[str, int]:
    """The number of workers, if that of machines is less than the most pods of a service that keeps data."""
    missing = pods - len(settings.schedulable_machines)
    return {"machines.workers": len(settings.machines.active_workers) + missing} if missing > 0 else {}


def _with_cameras(sections: Sections, number: int) -> dict[str, Any]:
    grown: dict[str, Any] = copy.deepcopy(dict(sections))
    given, logins = grown["cameras"], grown.get("cameraCredentials", {})
    cameras, credentials = [], {}
    for index in range(number):
        turn, place = divmod(index, len(given))
        camera = dict(given[place])
        login = logins.get(camera["name"])
        if turn:
            camera["name"] = f"{camera['name'][:35]}-{turn + 1}"
        cameras.append(camera)
        if login:
            credentials[camera["name"]] = login
    # Who may look at what needs nothing, and names cameras that may be left out here.
    rest = {key: section for key, section in grown.items() if key not in ("access", "cameraCredentials")}
    return {**rest, "cameras": cameras, **({"cameraCredentials": credentials} if credentials else {})}


def _set(sections: dict[str, Any], key: str, value: int) -> None:
    """Set a key of the stack's file, such as `models[0].executors.maximum`."""
    if key == "machines.workers":
        _add_workers(sections, value)
        return
    *parents, last = key.split(".")
    inner: Any = sections
    for part in parents:
        name, _, index = part.partition("[")
        inner = inner.setdefault(name, {})
        if index:
            inner = inner[int(index.removesuffix("]"))]
    inner[last] = value


def _add_workers(sections: dict[str, Any], number: int) -> None:
    workers: list[dict[str, Any]] = sections["machines"].setdefault("workers", [])
    missing = number - sum(not each.get("standby") for each in workers)
    workers += [{"name": f"added-{index + 1}", "address": str(each)} for index, each in enumerate(_addresses(missing))]


def _addresses(number: int) -> Sequence[IPv4Address]:
    return [_SPARE[index + 1] for index in range(number)]
