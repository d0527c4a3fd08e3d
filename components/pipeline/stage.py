"""The description of a pipeline stage, from which the program makes everything that all stages have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pulumi

from components import kubernetes as k
from components.autoscaling import KafkaIdentity, Keda
from components.config import Settings
from components.config.sections import Memory
from components.images import Image
from components.pipeline.acme import Acme
from components.pipeline.kafka_grants import KEDA
from components.pipeline.kafka_identities import Access, KafkaIdentities
from components.pipeline.pod_certificates import PodCertificates
from components.pipeline.scraping import Scraped

Labels = Mapping[str, str]
Component = TypeVar("Component", bound=pulumi.ComponentResource)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The one description of a stage, defined in its module."""

    name: str
    """Name of the stage's workload and volumes."""
    section: str
    """The field of Settings with its section; where that is a list, an item describes one workload."""
    image: Image
    pods: Mapping[str, Labels] | Callable[[Settings], Mapping[str, Labels]]
    """The labels of its pods, by the name of the kind of pod."""
    kind: Literal["StatefulSet", "Deployment", "Job"]
    """Pods of a StatefulSet stay with their volumes, one per machine; pods of a Deployment may move."""
    memory_key: Literal["memory.requestMiB", "heapMiB", "executorMemoryMiB"] | None = "memory.requestMiB"
    """The key of the section that sets a pod's memory; a heap changes its size only with a restart."""
    reads: tuple[Literal["frames", "results"], ...] = ()
    """The topics whose lag scales the number of pods, as the section's `replicas` says."""
    workloads: Callable[[Settings], Mapping[str, Any]] | None = None
    """The section or item of each workload, by its name; unset: one workload with the stage's name."""
    beside: Callable[[Settings], Mapping[str, Memory]] = lambda _: {}
    """Further containers in its pods: their memory, by their names."""
    images_beside: tuple[str, ...] = ()
    """The images of those that are other stages'."""
    declare: Callable[[Pipeline], Iterable[pulumi.ComponentResource]]
    """Makes the stage's components, from the components of earlier stages."""

    @property
    def keeps_data(self) -> bool:
        """Whether each pod has a volume."""
        return self.kind == "StatefulSet"

    def sections(self, settings: Settings) -> list[tuple[str, Any]]:
        """The section, or each of its items that describes a workload, with its key in the stack's configuration."""
        section = getattr(settings, self.section)
        if isinstance(section, tuple):
            described = {id(item) for item in self.workloads_of(settings).values()}
            return [(f"{self.section}[{index}]", item) for index, item in enumerate(section) if id(item) in described]
        return [(self.section, section)]

    def workloads_of(self, settings: Settings) -> Mapping[str, Any]:
        """The section or item that describes each workload, by the workload's name."""
        return self.workloads(settings) if self.workloads else {self.name: getattr(settings, self.section)}

    def pods_of(self, settings: Settings) -> Mapping[str, Labels]:
        """The labels of each kind of pod, by its name."""
        return self.pods(settings) if callable(self.pods) else self.pods


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The inputs of all stages, and the components that stages have made so far."""

    settings: Settings
    namespace: pulumi.Input[str]
    images: Mapping[str, pulumi.Input[str]]
    """Image references, by the image's name."""
    keda: Keda | None
    """None where no stage scales by lag."""
    token: pulumi.Input[str]
    """The name of the Secret with the token by which pods know each other (pod_token.py)."""
    certificates: PodCertificates
    """Those that pods show each other."""
    scraped: Scraped
    """What pods need to answer metrics."""
    identities: KafkaIdentities | None = None
    """None where brokers have no listener with TLS."""
    acme: Acme | None = None
    """None where no ACME server gives the page a certificate."""
    opts: pulumi.ResourceOptions | None = None
    components: list[pulumi.ComponentResource] = field(default_factory=list)

    def workload(self, name: str, labels: Labels, component: pulumi.Resource) -> k.Workload:
        """A workload in the pipeline's namespace; `component` is the parent of its resources."""
        return k.Workload(name, self.namespace, labels, pulumi.ResourceOptions(parent=component))

    def add(self, stage: Stage) -> None:
        """Declare a stage."""
        self.components.extend(stage.declare(self))

    def kafka_access(self, identity: str) -> Access:
        """What pods need to connect to the brokers as `identity`, one of the clients in kafka_grants.py."""
        return self.identities.client(identity) if self.identities else Access()

    @property
    def keda_identity(self) -> KafkaIdentity | None:
        """The certificate that KEDA shows to the brokers, in KEDA's namespace; None where it connects in plain."""
        if self.identities is None or self.keda is None:
            return None
        return self.identities.client(KEDA, self.keda.namespace).keda

    def all(self, kind: type[Component]) -> list[Component]:
        """The components of a class, in the order in which they were made."""
        return [each for each in self.components if isinstance(each, kind)]

    def one(self, kind: type[Component]) -> Component:
        """The only component of a class. Raises LookupError if a stage is declared before one that it needs."""
        found = self.all(kind)
        if len(found) != 1:
            raise LookupError(f"there are {len(found)} components {kind.__name__} so far: mind the order of the stages")
        return found[0]
