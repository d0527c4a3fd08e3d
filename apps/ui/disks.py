"""Volumes of the services, and disks of machines, that are nearly full: what each machine's kubelet measures.

A volume is measured as the file system that it is on. One that is a folder on a machine's disk is that disk.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from apps.service.kubernetes import ACCOUNT, token, trust
from apps.ui import metrics
from apps.ui.pods import poll_list

POLL_SECONDS = 60.0
TIMEOUT_SECONDS = 5.0
KUBELET_PORT = 10250
FULL = 0.85
"""The share of a file system, in use, from which it is nearly full."""

REMEDIES: Mapping[str, str] = {
    "kafka": "lower argus:kafka.retentionHours, or raise argus:kafka.volumeGiB",
    "elasticsearch": "lower argus:elasticsearch.retentionDays, or raise argus:elasticsearch.volumeGiB",
    "consumer": "lower argus:consumer.retentionHours, or raise argus:consumer.volumeGiB",
    "zookeeper": "raise argus:zookeeper.volumeGiB",
}
"""What to do about a full volume, by service."""

_CLAIM = re.compile(r"data-(?P<pod>(?P<service>.+)-\d+)")
"""The name of the claim of a StatefulSet's pod."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A file system, and how full it is (0 to 1): of bytes or of files, whichever is more."""

    machine: str
    pod: str = ""
    """The pod whose volume it is; empty for a disk of the machine."""
    used: float
    holds: Sequence[str] = field(default=())
    """Of a disk: the pods whose volumes are folders on it."""

    @property
    def notice(self) -> str:
        """One line for the operator."""
        share = f"{int(100 * self.used)} % full"
        if self.pod:
            service = self.pod.rpartition("-")[0]
            remedy = REMEDIES.get(service, "make it larger")
            return f"The volume of {self.pod} on {self.machine} is {share}: {remedy}."
        services = dict.fromkeys(pod.rpartition("-")[0] for pod in self.holds)
        remedies = [REMEDIES[service] for service in services if service in REMEDIES]
        kept = f" ({', '.join(self.holds)} keep their data there)" if self.holds else ""
        doing = "; ".join(["free some of it, or give it a larger disk", *remedies])
        return f"The disk of {self.machine} is {share}{kept}: {doing}."


def file_systems(machine: str, summary: Any) -> list[Filled]:
    """The file systems that a kubelet measures (`/stats/summary`): the machine's disks, then volumes with their own.

    Raises ValueError if this is not its answer.
    """
    try:
        node = summary["node"]
        disks = {node["fs"]["capacityBytes"]: node["fs"]}
        images = (node.get("runtime") or {}).get("imageFs") or node["fs"]
        # Of images it measures what they use, not what is used of their disk.
        used = images["capacityBytes"] - images["availableBytes"]
        disks.setdefault(images["capacityBytes"], {**images, "usedBytes": used})
        volumes = sorted(_volumes(summary.get("pods") or ()), key=lambda each: each[0])
        shared = {size: tuple(pod for pod, stats in volumes if stats["capacityBytes"] == size) for size in disks}
        return [
            *(Filled(machine=machine, used=_used(disk), holds=shared[size]) for size, disk in disks.items()),
            *(
                Filled(machine=machine, pod=pod, used=_used(stats))
                for pod, stats in volumes
                if stats["capacityBytes"] not in disks
            ),
        ]
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(f"not a kubelet's measurements: {type(error).__name__} {error}") from error


def _volumes(pods: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The services' volumes that are measured, with their pods' names. A kubelet measures them some minutes late."""
    for pod in pods:
        for volume in pod.get("volume") or ():
            claim = _CLAIM.fullmatch((volume.get("pvcRef") or {}).get("name", ""))
            if claim and volume.get("capacityBytes"):
                yield claim["pod"], volume


def _used(stats: Mapping[str, Any]) -> float:
    """As `df` says it: what the system keeps for itself is neither used nor free."""
    used, free = stats["usedBytes"], stats["availableBytes"]
    shares = [used / (used + free)]
    if stats.get("inodes"):
        shares.append(1 - stats["inodesFree"] / stats["inodes"])
    return float(max(shares))


def notice(found: Iterable[Filled]) -> str | None:
    """One line for the operator, the fullest first; None if nothing is nearly full."""
    full = sorted((each for each in found if each.used >= FULL), key=lambda each: -each.used)
    return " ".join(each.notice for each in full) or None


class FullDisks:
    """Asks the API server for the nodes, and each one's kubelet for what it measures."""

    def __init__(self, account: Path = ACCOUNT, client: httpx.AsyncClient | None = None) -> None:
        """`client` asks the kubelets; unset: one that trusts the cluster's authority."""
        self._account = account
        self._client = client or httpx.AsyncClient(trust_env=False, verify=trust(account))
        self._silent: set[str] = set()
        """The machines that did not answer."""
        self.notice: str | None = None
        """The page's line, as of the last answers."""

    async def run(self) -> None:
        """Poll until cancelled; returns at once if there is no service account."""
        async with self._client:
            await poll_list(
                lambda _: "/api/v1/nodes",
                self.take,
                seconds=POLL_SECONDS,
                account=self._account,
                what="it is not shown which disks are nearly full",
            )

    async def take(self, nodes: list[Mapping[str, Any]]) -> None:
        """Take over what these nodes' kubelets say. Raises KeyError if they are no nodes."""
        answers = await asyncio.gather(*(self._ask(node) for node in nodes))
        found = [each for answer in answers for each in answer]
        metrics.DISK_USED.clear()
        for each in found:
            metrics.DISK_USED.labels(each.machine, each.pod).set(each.used)
        self.notice = notice(found)

    async def _ask(self, node: Mapping[str, Any]) -> list[Filled]:
        """A machine's file systems; none where it does not answer, which other lines of the page say."""
        name = node["metadata"]["name"]
        addresses = [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
        try:
            answer = await self._client.get(
                f"https://{addresses[0]}:{KUBELET_PORT}/stats/summary",
                headers={"Authorization": f"Bearer {token(self._account)}"},
                timeout=TIMEOUT_SECONDS,
            )
            found = file_systems(name, answer.raise_for_status().json())
        except (httpx.HTTPError, ValueError, OSError, IndexError) as error:
            if name not in self._silent:
                logger.warning("the kubelet of %s does not say how full its disks are: %s", name, error)
            self._silent.add(name)
            return []
        self._silent.discard(name)
        return found
