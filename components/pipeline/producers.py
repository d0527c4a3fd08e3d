"""The producers: pods that read cameras and write frames to Kafka."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi
from pulumi_kubernetes import core

from apps.messages import camera_url
from apps.messages.names import FRAMES_TOPIC
from components import kubernetes as k
from components.config import Settings, sections
from components.images import APP, Image
from components.pipeline import pod_certificates, pod_token
from components.pipeline.model_job import ModelJob
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics

LABELS: Final = k.labels("producer", "camera")
RECORD_OVERHEAD = 10_000
"""Bytes of Kafka's record size limit reserved for the key, the headers and the batch around an image."""

_NOT_THE_PRODUCERS: Final = {"gated"}
"""A camera's keys that concern other stages: a producer does not restart for them."""


def assign(cameras: Sequence[str], count: int) -> list[list[str]]:
    """The cameras of each producer, by bounded rendezvous hashing; no producer gets more than the average, rounded up.

    Every pair of camera and producer has a fixed score; pairs are taken from the highest score down, and each camera
    goes to its best producer that has room. Only names count: neither a camera's other settings nor the order of
    cameras in the stack moves it, and a new camera moves few others.
    """
    room = -(-len(cameras) // count)
    pairs = sorted((_score(camera, producer), camera, producer) for camera in cameras for producer in range(count))
    shares: list[list[str]] = [[] for _ in range(count)]
    placed: set[str] = set()
    for _, camera, producer in reversed(pairs):
        if camera not in placed and len(shares[producer]) < room:
            shares[producer].append(camera)
            placed.add(camera)
    return [sorted(share) for share in shares]


def camera_ports(urls: Iterable[str]) -> list[int]:
    """The TCP ports of the cameras with these URLs that are reached over the network, sorted. RTSP uses TCP too."""
    parts = [urlsplit(url) for url in urls]
    return sorted({each.port or camera_url.PORTS[each.scheme] for each in parts if each.scheme in camera_url.PORTS})


def for_producer(camera: sections.Camera) -> dict[str, Any]:
    """What a producer is told of a camera; what does not apply is left out, so that a new key restarts nobody."""
    told = camera.model_dump(exclude=_NOT_THE_PRODUCERS)
    return told if camera.tls is not None else {key: value for key, value in told.items() if key != "tls"}


def _score(camera: str, producer: int) -> str:
    return hashlib.sha256(f"{camera}/{producer}".encode()).hexdigest()


class Producers(pulumi.ComponentResource):
    """One Deployment per producer, each with its own cameras, so that a changed camera restarts only its producer.

    A producer is recreated, not rolled: two pods reading one camera would publish its frames twice. Producers hand over
    a camera that moves between them; they find each other through a headless Service.

    The pods start after the models: while machines are busy starting everything, drivers take minutes to start, and
    frames produced earlier would be a backlog.
    """

    urls: pulumi.Output[Sequence[str]]
    """URL of each producer, where it reports the state of its cameras."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Producers", name, None, pipeline.opts)
        settings = pipeline.settings
        by_name = {camera.name: camera for camera in settings.filled_cameras}
        shares = assign(sorted(by_name), settings.producer_count)
        service = k.headless_service(f"{name}-service", pipeline.workload("producers", LABELS, self), k.HTTP_PORTS)
        peers = pulumi.Output.format("{0}:{1}", service, k.HTTP_PORT)
        names = [f"producer-{n}" for n in range(len(shares))]
        tls = pipeline.certificates.server("producer", service.apply(lambda host: [host, *names]), LABELS)
        urls = [
            self._producer(name, pipeline, [by_name[camera] for camera in share], peers, tls)
            for name, share in zip(names, shares, strict=True)
        ]
        self.urls = pulumi.Output.all(*urls).apply(list)
        self.register_outputs({"urls": self.urls})

    def _producer(
        self,
        name: str,
        pipeline: Pipeline,
        cameras: Sequence[sections.Camera],
        peers: pulumi.Input[str],
        tls: pulumi.Input[str],
    ) -> pulumi.Output[str]:
        settings = pipeline.settings
        access, scraped = pipeline.kafka_access("producer"), pipeline.scraped
        workload = pipeline.workload(name, {**LABELS, "app.kubernetes.io/instance": name}, self)
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": pipeline.one(Topics).bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_CAMERAS_FILE": f"{k.CONFIG_DIR}/cameras.json",
            "ARGUS_CREDENTIALS_FILE": f"{k.SECRETS_DIR}/cameras.json",
            "ARGUS_MAX_FRAME_BYTES": str(settings.kafka.max_message_bytes - RECORD_OVERHEAD),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
            "ARGUS_PROBE_PORT": str(k.PROBE_PORT),
            "ARGUS_PEERS": peers,
            "ARGUS_TOKEN_FILE": str(pod_token.FILE),
            "ARGUS_AUTHORITY_FILE": str(pod_token.AUTHORITY),
            "ARGUS_TLS_DIR": pod_certificates.DIR,
            **scraped.variables,
            **access.variables,
        }
        files = {"cameras.json": json.dumps([for_producer(camera) for camera in cameras], indent=2)}
        environment = k.config_map(f"{name}-environment", workload.named(f"{name}-environment"), variables)
        config = k.config_map(f"{name}-cameras", workload.named(f"{name}-cameras"), files)
        logins = pulumi.Output.secret({"cameras.json": _logins(settings.camera_credentials, cameras)})
        secret = core.v1.Secret(
            f"{name}-credentials",
            metadata=workload.named(f"{name}-credentials").metadata(),
            string_data=logins,
            opts=workload.opts,
        )
        service = k.service(f"{name}-service", workload, k.HTTP_PORTS)
        memory = settings.producers.memory
        container = k.app_container("producer", pipeline.images["producer"], environment, memory, cpu="50m")
        container.volume_mounts = [
            k.mount("config", k.CONFIG_DIR, read_only=True),
            k.mount("secrets", k.SECRETS_DIR, read_only=True),
            pod_token.mount(),
            pod_certificates.mount(),
            *scraped.mounts,
            *access.mounts,
            k.mount("tmp", "/tmp"),
        ]
        k.deployment(
            f"{name}-deployment",
            workload,
            container,
            [
                k.config_volume(config),
                k.secret_volume(secret.metadata.name),
                pod_token.volume(pipeline.token),
                pod_certificates.volume(tls),
                *scraped.volumes,
                *access.volumes,
                k.scratch_volume(),
            ],
            contents=[variables, files, logins, {"authority": pipeline.certificates.authority}, *access.contents],
            recreate=True,
            grace_seconds=40,
            after=pipeline.all(ModelJob),
        )
        return pulumi.Output.format("https://{0}:{1}", service, k.HTTP_PORT)


def _logins(credentials: Mapping[str, sections.Credentials], cameras: Sequence[sections.Camera]) -> str:
    logins = {
        camera.name: {"username": login.username, "password": login.password.get_secret_value()}
        for camera in cameras
        if (login := credentials.get(camera.name))
    }
    return json.dumps(logins, sort_keys=True)


def _workloads(settings: Settings) -> dict[str, sections.Producers]:
    return {f"producer-{n}": settings.producers for n in range(settings.producer_count)}


STAGE: Final = Stage(
    name="producer",
    section="producers",
    image=Image(name="producer", paths=(*APP, "apps/scenes", "apps/producer")),
    pods={"producer": LABELS},
    kind="Deployment",
    workloads=_workloads,
    declare=lambda pipeline: [Producers("producers", pipeline)],
)
