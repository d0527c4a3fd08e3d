"""Third-party images by digest: one place for every Kubernetes object of the program, whoever declares it."""

from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import pulumi

from components import engine
from components.config import sections
from components.config.rules import has_digest
from components.signatures import named_images

_CONTAINERS: Final = frozenset(("containers", "init_containers", "initContainers"))


class PinnedImages:
    """Gives each image that a pod names by text the digest that the stack has for it; remembers those without one.

    Images that come as outputs are the pipeline's own; Images pins those. `options` are for every component that makes
    objects of Kubernetes: its children inherit the transformation.
    """

    options: pulumi.ResourceOptions

    def __init__(self, section: sections.Images) -> None:
        self._section = section
        self._floating: dict[str, str] = {}
        self._unverified: dict[str, str] = {}
        asked = section.digests or section.require_digests
        self._verified = frozenset(named_images(section)) if section.signers else None
        self.options = pulumi.ResourceOptions(transformations=[self._pin] if asked else None)

    def check(self) -> None:
        """Raise pulumi.RunError that names every image without a digest, if the stack requires digests; or every one
        whose signature nobody looks at, if it has signers.
        """
        self._check_digests()
        if self._unverified:
            lines = "\n".join(
                f"  - {reference}, which {user} runs: name it in argus:images.digests"
                for reference, user in sorted(self._unverified.items())
            )
            raise pulumi.RunError(f"{len(self._unverified)} images would run without being verified:\n{lines}")

    def _check_digests(self) -> None:
        if self._floating and self._section.require_digests:
            lines = "\n".join(
                f'  - argus:images.digests["{reference}"]: missing, and images.requireDigests is set; {user} runs it. '
                f"`skopeo inspect --format '{{{{.Digest}}}}' docker://{reference}` says its digest"
                for reference, user in sorted(self._floating.items())
            )
            raise pulumi.RunError(f"{len(self._floating)} images are used by their tag alone:\n{lines}")

    def _pin(self, resource: pulumi.ResourceTransformationArgs) -> None:
        if not resource.type_.startswith("kubernetes:"):
            return
        for container in containers_of(resource.props):
            reference = container.get("image")
            if isinstance(reference, str):
                container["image"] = reference = self._section.pinned(reference)
                if not has_digest(reference):
                    self._floating.setdefault(reference, resource.name)
                elif self._verified is not None and reference not in self._verified:
                    self._unverified.setdefault(reference, resource.name)


def containers_of(value: Any) -> Iterator[MutableMapping[str, Any]]:
    """The fields of every container in the inputs of a resource, or in an object of a manifest."""
    fields = engine.fields(value)
    if fields is None:
        for each in value if isinstance(value, list | tuple) else ():
            yield from containers_of(each)
        return
    for key, inner in list(fields.items()):
        if key in _CONTAINERS and isinstance(inner, list | tuple):
            yield from (each for each in map(engine.fields, inner) if each is not None)
        elif key != "data":
            yield from containers_of(inner)
