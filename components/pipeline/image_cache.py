"""Pulls the images of pods that may move to every node in advance."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apps, core, meta

from components import kubernetes as k


@dataclass(frozen=True, kw_only=True)
class ImageCacheArgs:
    """Arguments of ImageCache; `images` has references by a short name, `pause` is an image that only waits."""

    namespace: pulumi.Input[str]
    images: Mapping[str, pulumi.Input[str]]
    pause: str


class ImageCache(pulumi.ComponentResource):
    """Pulls images on each node, one after the other, so that the pods of a dead machine start elsewhere at once.

    Nothing waits for it: a pod that starts sooner pulls its image itself. The kubelet may still delete these images
    when a disk is nearly full.
    """

    def __init__(self, name: str, args: ImageCacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:ImageCache", name, None, opts)
        labels = k.labels("image-cache", "cache")
        spec = core.v1.PodSpecArgs(
            automount_service_account_token=False,
            enable_service_links=False,
            security_context=k.pod_security(),
            termination_grace_period_seconds=1,
            init_containers=[
                _container(f"pull-{image}", reference, command=["/bin/true"])
                for image, reference in args.images.items()
            ],
            containers=[_container("wait", args.pause)],
        )
        apps.v1.DaemonSet(
            f"{name}-pods",
            metadata=k.metadata("image-cache", args.namespace, labels, k.AT_ONCE),
            spec=apps.v1.DaemonSetSpecArgs(
                selector=k.selector(labels),
                revision_history_limit=1,
                update_strategy=apps.v1.DaemonSetUpdateStrategyArgs(
                    rolling_update=apps.v1.RollingUpdateDaemonSetArgs(max_unavailable="100%")
                ),
                template=core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=labels), spec=spec),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _container(name: str, image: pulumi.Input[str], *, command: list[str] | None = None) -> core.v1.ContainerArgs:
    return core.v1.ContainerArgs(
        name=name,
        image=image,
        command=command,
        resources=k.resources(cpu="1m", memory_mib=8, limit_mib=32),
        security_context=k.container_security(),
    )
