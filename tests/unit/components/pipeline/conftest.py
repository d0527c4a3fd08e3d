"""The whole pipeline under mocks."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest

from components import drawn
from components.autoscaling import Keda, KedaArgs, Vpa, VpaArgs
from components.config import Settings
from components.pipeline import elasticsearch_peers, stages
from components.pipeline.acme import Acme, AcmeArgs
from components.pipeline.certificate_list import CertificateList
from components.pipeline.image_cache import ImageCache, ImageCacheArgs
from components.pipeline.kafka_identities import KafkaIdentities, KafkaIdentitiesArgs
from components.pipeline.namespace import Namespace, NamespaceArgs
from components.pipeline.network_policies import NetworkPolicies, NetworkPoliciesArgs, pods
from components.pipeline.pod_certificates import PodCertificates, PodCertificatesArgs
from components.pipeline.pod_token import PodToken, PodTokenArgs
from components.pipeline.scraping import Scraping, ScrapingArgs
from components.pipeline.stage import Pipeline
from components.pipeline.vertical import VerticalScaling, VerticalScalingArgs, targets

CAMERAS = [{"name": f"camera-{n:02}", "url": f"synthetic://scene-{n}"} for n in range(40)]
STACK: Mapping[str, Any] = {
    "ssh": {"privateKey": "a key"},
    "machines": {"controlPlanes": [{"name": "cp1", "address": "192.0.2.11"}]},
    "cluster": {"name": "test", "endpoint": "192.0.2.10"},
    "kafka": {"heapMiB": 320, "volumeGiB": 8},
    "elasticsearch": {"heapMiB": 512, "volumeGiB": 8},
    "filebeat": {"replicas": {"maximum": 1}},
    "producers": {"count": 4, "framesPerSecond": 0.5},
    "cameras": CAMERAS,
    "cameraCredentials": {"camera-00": {"username": "viewer", "password": "letmein"}},
    "models": [{"name": "objects", "kind": "objects"}, {"name": "motion", "kind": "motion"}],
    "ui": {"replicas": {"maximum": 1}, "vertical": "apply"},
}
Build = Callable[..., Mapping[str, Any]]


def settings(*, model: Mapping[str, Any] | None = None, **sections: Any) -> Settings:
    """A stack with changed values in some sections or in every model."""
    stack = {**STACK, "models": [{**each, **(model or {})} for each in STACK["models"]]}
    for name, section in sections.items():
        stack[name] = {**stack.get(name, {}), **section} if isinstance(section, dict) else section
    return Settings.model_validate(stack)


def declare(**changes: Any) -> None:
    """Declare all components of the pipeline, as `__main__` does, for a stack with `changes`."""
    stack, every = settings(**changes), stages.STAGES
    images = {name: f"{name}:1" for name in stages.every_image(every)}
    namespace = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1")).name
    keda = Keda("keda", KedaArgs(kubernetes_version="1.36.1", watched=namespace))
    vpa_args = VpaArgs(
        kubernetes_version="1.36.1",
        watched=namespace,
        image_repository="registry.k8s.io",
        tools_image=images["consumer"],
        limits=stack.vertical,
    )
    vpa = Vpa("vpa", vpa_args)
    acme = None
    if stack.ui.acme is not None:
        acme_args = AcmeArgs(
            kubernetes_version="1.36.1",
            image=images["acme"],
            section=stack.ui.acme,
            names=stack.ui.acme_names,
            page=namespace,
        )
        acme = Acme("acme", acme_args)
    NetworkPolicies(
        "network-policies",
        NetworkPoliciesArgs(
            namespace=namespace,
            pods=pods(stack, every),
            keda=keda.namespace,
            vpa=vpa.namespace,
            acme=acme.namespace if acme else None,
            acme_ports=stack.ui.acme.outside_ports if stack.ui.acme else (),
            models=[each.name for each in stack.models],
            cameras=stack.cameras,
            cluster=stack.cluster,
            open_id_connect=stack.access.open_id_connect,
            kafka_outside=stack.kafka.outside is not None,
            transport=stack.kafka.transport,
            zookeeper_transport=stack.zookeeper_transport,
            search_transport=stack.elasticsearch.transport,
            node_ports=elasticsearch_peers.ports(stack.elasticsearch).values(),
        ),
    )
    certificates = PodCertificates(
        "pod-certificates", PodCertificatesArgs(namespace=namespace, section=stack.pod_secrets)
    )
    token_args = PodTokenArgs(namespace=namespace, section=stack.pod_secrets, authority=certificates.authority)
    token = PodToken("pod-token", token_args).secret
    scraping = Scraping(
        "metrics", ScrapingArgs(namespace=namespace, section=stack.pod_secrets, certificates=certificates)
    )
    identities = None
    if stack.kafka.transport != "plain":
        identities_args = KafkaIdentitiesArgs(
            namespace=namespace, transport=stack.kafka.transport, section=stack.pod_secrets
        )
        identities = KafkaIdentities("kafka-identities", identities_args)
    pipeline = Pipeline(
        settings=stack,
        namespace=namespace,
        images=images,
        keda=keda,
        token=token,
        certificates=certificates,
        scraped=scraping.pods,
        identities=identities,
        acme=acme,
    )
    for stage in every:
        pipeline.add(stage)
    CertificateList("certificates", pipeline)
    VerticalScaling("vertical", VerticalScalingArgs(namespace=namespace, vpa=vpa, targets=targets(stack, every)))
    cached = {name: images[name] for name in stages.moving_images(every)}
    ImageCache("image-cache", ImageCacheArgs(namespace=namespace, images=cached, pause="pause:1"))


def with_address(name: str, inputs: dict[str, Any]) -> Mapping[str, Any]:
    """A Service as the API server makes it: of this name, in place of an address."""
    return {"spec": {"clusterIP": f"address-of-{inputs['metadata']['name']}", **inputs["spec"]}}


_unchanged: dict[str, Any] = {}


@pytest.fixture
def build(pulumi_mocks: Any) -> Build:
    """`build(**changes)`: the pipeline's Kubernetes objects by `Kind/name`, those of another namespace by
    `Kind/namespace/name`; the one without changes is cached."""

    def built(**changes: Any) -> Mapping[str, Any]:
        if not changes and _unchanged:
            return _unchanged
        recorder = type(pulumi_mocks)()
        recorder.outputs["kubernetes:core/v1:Service"] = with_address
        recorder.run(lambda: declare(**changes))
        objects = {_key(each): each for each in recorder.resources if each.type.startswith("kubernetes:")}
        if not changes:
            _unchanged.update(objects)
        return objects

    return built


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn secrets that differ by their names and by the word that has them drawn anew."""

    def draw(name: str, *, redraw: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        return pulumi.Output.secret(f"drawn-{name}-{redraw}")

    monkeypatch.setattr(drawn, "secret", draw)


def _key(made: Any) -> str:
    metadata = made.inputs["metadata"]
    elsewhere = [] if metadata.get("namespace", "argus") == "argus" else [metadata["namespace"]]
    return "/".join([made.type.rsplit(":", 1)[-1], *elsewhere, metadata["name"]])


def config_map_of_environment(objects: Any, model: str = "objects") -> str:
    """The name of the ConfigMap with the model's driver's environment."""
    (container,) = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    name: str = source["configMapRef"]["name"]
    return name


def config_map_of_files(objects: Any, model: str = "objects") -> str:
    """The name of the ConfigMap with the model's driver's files."""
    volumes = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]["spec"]["volumes"]
    (name,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
    return str(name)


def environment_of_driver(objects: Any, model: str = "objects") -> dict[str, str]:
    """The environment of the model's driver."""
    data: dict[str, str] = objects[f"ConfigMap/{config_map_of_environment(objects, model)}"].inputs["data"]
    return data


def files_of_driver(objects: Any, model: str = "objects") -> dict[str, str]:
    """The configuration files of the model's driver."""
    data: dict[str, str] = objects[f"ConfigMap/{config_map_of_files(objects, model)}"].inputs["data"]
    return data
