"""What a stage of the pipeline is: one description, from which follows all that the program makes for every stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pulumi

from components.autoscaling import Keda
from components.config import Settings
from components.images import Image

Labels = Mapping[str, str]
Component = TypeVar("Component", bound=pulumi.ComponentResource)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage, as its module describes it once."""

    name: str
    """Of its workload and its volumes."""
    section: str
    """Its section's field of Settings; a section that is a list describes a workload with each item."""
    image: Image
    pods: Mapping[str, Labels] | Callable[[Settings], Mapping[str, Labels]]
    """The labels of each kind of its pods, by the kind's name."""
    kind: Literal["StatefulSet", "Deployment", "Job"]
    """A StatefulSet's pods stay with their volumes, each on a machine of its own; a Deployment's pods may move."""
    memory_key: Literal["memory.requestMiB", "heapMiB", "executorMemoryMiB"] | None = "memory.requestMiB"
    """The key of the section that says how much memory a pod needs. A heap grows with a restart only."""
    reads: tuple[Literal["frames", "results"], ...] = ()
    """The topics whose lag changes the number of its pods; the section's `replicas` says how."""
    workloads: Callable[[Settings], Mapping[str, Any]] | None = None
    """The section or item of each workload, by the workload's name; unset: one, of the stage's name."""
    declare: Callable[[Pipeline], Iterable[pulumi.ComponentResource]]
    """Makes the stage's components, from what the stages before it made."""

    @property
    def keeps_data(self) -> bool:
        """Whether each pod has a volume."""
        return self.kind == "StatefulSet"

    def sections(self, settings: Settings) -> list[tuple[str, Any]]:
        """The section, or each of its items, with its key in the stack's configuration."""
        section = getattr(settings, self.section)
        if isinstance(section, tuple):
            return [(f"{self.section}[{index}]", item) for index, item in enumerate(section)]
        return [(self.section, section)]

    def workloads_of(self, settings: Settings) -> Mapping[str, Any]:
        """The section or item that describes each workload, by the workload's name."""
        return self.workloads(settings) if self.workloads else {self.name: getattr(settings, self.section)}

    def pods_of(self, settings: Settings) -> Mapping[str, Labels]:
        """The labels of each kind of pod, by its name."""
        return self.pods(settings) if callable(self.pods) else self.pods


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What stages are declared with, and the components that they have made so far."""

    settings: Settings
    namespace: pulumi.Input[str]
    images: Mapping[str, pulumi.Input[str]]
    """References by the image's name."""
    keda: Keda | None
    """None where no number of pods follows a lag."""
    opts: pulumi.ResourceOptions | None = None
    components: list[pulumi.ComponentResource] = field(default_factory=list)

    def add(self, stage: Stage) -> None:
        """Declare a stage."""
        self.components.extend(stage.declare(self))

    def all(self, kind: type[Component]) -> list[Component]:
        """The components of a class, in the order in which they were made."""
        return [each for each in self.components if isinstance(each, kind)]

    def one(self, kind: type[Component]) -> Component:
        """The only component of a class. Raises LookupError where a stage is declared before one that it needs."""
        found = self.all(kind)
        if len(found) != 1:
            raise LookupError(f"there are {len(found)} components {kind.__name__} so far: mind the order of the stages")
        return found[0]
