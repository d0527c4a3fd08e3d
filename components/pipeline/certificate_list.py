"""The stack's certificates without their keys, by which the page knows when they end."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.stage import Pipeline
from components.pipeline.zookeeper import Zookeeper

NAME: Final = "certificates"
"""The ConfigMap's."""
DIR: Final = "/etc/argus-certificates"
"""Where the page has it."""
LABELS: Final = k.labels(NAME, "certificates")


class CertificateList(pulumi.ComponentResource):
    """A ConfigMap with all certificates that `pulumi up` renews each year, as `kafka.producer.crt`.

    Brokers, ZooKeeper, Elasticsearch, Filebeat and KEDA are no programs of Argus's, and nobody may read the Secrets of
    others, so neither could say when theirs end. It is written once the stages have theirs, so it names none that is
    not in use yet, and is declared after everything that makes certificates.
    """

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        opts = pulumi.ResourceOptions.merge(pipeline.opts, pulumi.ResourceOptions(depends_on=pipeline.components))
        super().__init__("argus:pipeline:CertificateList", name, None, opts)
        known = {
            **pipeline.certificates.public,
            **(pipeline.identities.public if pipeline.identities else {}),
            **pipeline.one(Zookeeper).public,
            **pipeline.one(Elasticsearch).public,
        }
        workload = pipeline.workload(NAME, LABELS, self)
        k.config_map(f"{name}-config", workload, {f"{each}.crt": text for each, text in known.items()})
        self.register_outputs({})


def mount() -> core.v1.VolumeMountArgs:
    """Where the page has the list."""
    return k.mount(NAME, DIR, read_only=True)


def volume() -> core.v1.VolumeArgs:
    """The page's volume with the list. A page that starts before there is one gets it when it comes."""
    return k.config_volume(NAME, NAME, optional=True)
