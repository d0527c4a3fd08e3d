"""A container: its privileges, resources, probes, ports and mounts, and the heap of a JVM in it."""

from collections.abc import Mapping
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components.config import Memory
from components.kubernetes.configuration import env_from

HTTP_PORT: Final = 8080
HTTP_PORTS: Final = {"http": HTTP_PORT}
PROBE_PORT: Final = 8081
"""The port for probes of an app whose HTTP_PORT is for others."""
METRICS_PORT: Final = 8082
"""The port for metrics of every app."""
METRICS_PORTS: Final = {"metrics": METRICS_PORT}


def app_container(
    name: str,
    image: pulumi.Input[str],
    environment: pulumi.Input[str],
    memory: Memory,
    *,
    cpu: str,
) -> core.v1.ContainerArgs:
    """The container of an app that reads its settings from the ConfigMap `environment`, reports its health at
    PROBE_PORT and its metrics at METRICS_PORT. It may write only to a volume `tmp`, unless more are mounted."""
    return core.v1.ContainerArgs(
        name=name,
        image=image,
        env_from=env_from(environment),
        ports=container_ports({**HTTP_PORTS, "probes": PROBE_PORT, **METRICS_PORTS}),
        resources=resources_of(memory, cpu=cpu),
        security_context=container_security(),
        startup_probe=http_probe(port=PROBE_PORT, period=5, failures=60),
        readiness_probe=http_probe("/readyz", PROBE_PORT),
        liveness_probe=http_probe(port=PROBE_PORT, period=20),
        volume_mounts=[mount("tmp", "/tmp")],
    )


def container_security(*, read_only_root: bool = True) -> core.v1.SecurityContextArgs:
    """No privileges at all; the root file system is read-only unless the program must write there."""
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=read_only_root,
        capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
    )


def resources(*, cpu: str, memory_mib: int, limit_mib: int | None = None) -> core.v1.ResourceRequirementsArgs:
    """A CPU request without a limit, so that idle cores can be used, and a memory request and limit (MiB)."""
    return core.v1.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": f"{memory_mib}Mi"},
        limits={"memory": f"{limit_mib or memory_mib}Mi"},
    )


def resources_of(memory: Memory, *, cpu: str) -> core.v1.ResourceRequirementsArgs:
    """`resources` with the memory in the stage's section."""
    return resources(cpu=cpu, memory_mib=memory.request_mib, limit_mib=memory.limit_mib)


def tcp_probe(port: int, *, period: int = 10, failures: int = 3) -> core.v1.ProbeArgs:
    """A probe that succeeds if the port accepts connections: the cheapest check."""
    return core.v1.ProbeArgs(
        tcp_socket=core.v1.TCPSocketActionArgs(port=port),
        period_seconds=period,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def http_probe(
    path: str = "/healthz",
    port: int = HTTP_PORT,
    *,
    period: int = 10,
    failures: int = 3,
    scheme: str | None = None,
) -> core.v1.ProbeArgs:
    """A probe that succeeds if the path answers with status 2xx or 3xx."""
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(path=path, port=port, scheme=scheme),
        period_seconds=period,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def container_ports(ports: Mapping[str, int]) -> list[core.v1.ContainerPortArgs]:
    """Named ports of a container."""
    return [
        core.v1.ContainerPortArgs(name=name, container_port=number, protocol="TCP") for name, number in ports.items()
    ]


def mount(name: str, path: str, *, read_only: bool = False, sub_path: str | None = None) -> core.v1.VolumeMountArgs:
    """A volume mount in a container."""
    return core.v1.VolumeMountArgs(name=name, mount_path=path, read_only=read_only or None, sub_path=sub_path)


def scratch_volume(name: str = "tmp", *, limit_mib: int | None = None) -> core.v1.VolumeArgs:
    """An empty directory that is deleted with the pod."""
    limit = f"{limit_mib}Mi" if limit_mib else None
    return core.v1.VolumeArgs(name=name, empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit=limit))


def jvm_flags(heap_mib: int, *, share_of_mib: int | None = None) -> str:
    """JVM flags for this heap (see heap_flags); below 1 GiB, the collector with the least overhead."""
    heap = f"{heap_flags(heap_mib, share_of_mib=share_of_mib)} -XX:+ExitOnOutOfMemoryError"
    small = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=64m -Xss512k"
    return f"{heap} {small}" if heap_mib < 1024 else heap


def heap_flags(heap_mib: int, *, share_of_mib: int | None = None) -> str:
    """Flags for a heap of `heap_mib`; with `share_of_mib`, of heap_mib / share_of_mib of the container's limit."""
    if share_of_mib is None:
        return f"-Xms{heap_mib}m -Xmx{heap_mib}m"
    share = f"{100 * heap_mib / share_of_mib:.2f}"
    return f"-XX:InitialRAMPercentage={share} -XX:MaxRAMPercentage={share}"
