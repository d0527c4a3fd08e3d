"""The whole pipeline under mocks, for the tests to look at."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from apps.messages.names import results_topic
from components.autoscaling import Keda, KedaArgs, Vpa, VpaArgs
from components.config import ConsumerReplicas, FilebeatReplicas, Memory, Model, UiReplicas
from components.pipeline import (
    CameraSpec,
    Consumer,
    ConsumerArgs,
    Elasticsearch,
    ElasticsearchArgs,
    Filebeat,
    FilebeatArgs,
    ImageCache,
    ImageCacheArgs,
    Kafka,
    KafkaArgs,
    ModelJob,
    ModelJobArgs,
    Namespace,
    NamespaceArgs,
    NetworkPolicies,
    NetworkPoliciesArgs,
    Producers,
    ProducersArgs,
    Topics,
    TopicsArgs,
    Ui,
    UiArgs,
    VerticalScaling,
    VerticalScalingArgs,
    Zookeeper,
    ZookeeperArgs,
    pipeline_topics,
)
from components.pipeline.vertical import Target

CAMERAS = tuple(
    CameraSpec(name=f"camera-{n:02}", url=f"synthetic://scene-{n}", frames_per_second=0.5, width=640, jpeg_quality=80)
    for n in range(40)
)
MEMORY = Memory(requestMiB=100, limitMiB=400)
TARGETS = (
    Target(kind="Deployment", name="ui", vertical="apply"),
    Target(kind="StatefulSet", name="consumer", vertical="recommend"),
    Target(kind="StatefulSet", name="kafka", vertical="apply", minimum_mib=384),
)
Build = Callable[..., Mapping[str, Any]]


def declare(
    *, cameras: tuple[CameraSpec, ...] = CAMERAS, models: tuple[str, ...] = ("objects", "motion"), **changes: Any
) -> None:
    """Every component of the pipeline, as `__main__` wires them; `changes` alter the arguments of a component."""
    namespace = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1")).name
    results = [results_topic(model) for model in models]
    NetworkPolicies(
        "network-policies",
        NetworkPoliciesArgs(
            namespace=namespace,
            models=models,
            scales_by_lag=True,
            scales_vertically=True,
            camera_urls=[camera.url for camera in cameras],
            pod_network="10.244.0.0/16",
            service_network="10.96.0.0/16",
        ),
    )
    keda = Keda("keda", KedaArgs(namespace=namespace))
    zookeeper = Zookeeper(
        "zookeeper", replace(ZookeeperArgs(namespace=namespace, image="zookeeper:1"), **changes.get("zookeeper", {}))
    )
    kafka = Kafka(
        "kafka",
        replace(
            KafkaArgs(
                namespace=namespace,
                image="kafka:1",
                zookeeper_connect=zookeeper.connect,
                heap_mib=320,
                memory=MEMORY,
                volume_gib=8,
                max_message_bytes=2_000_000,
            ),
            **changes.get("kafka", {}),
        ),
    )
    wanted = pipeline_topics(
        models=models, partitions=40, brokers=3, volume_gib=8, retention_hours=6, max_message_bytes=2_000_000
    )
    topics = Topics(
        "topics",
        TopicsArgs(namespace=namespace, image="kafka:1", bootstrap_servers=kafka.bootstrap_servers, topics=wanted),
    )
    elasticsearch = Elasticsearch(
        "elasticsearch",
        replace(
            ElasticsearchArgs(
                namespace=namespace,
                image="elasticsearch:1",
                tools_image="consumer:1",
                heap_mib=512,
                memory=MEMORY,
                volume_gib=8,
                retention_days=7,
            ),
            **changes.get("elasticsearch", {}),
        ),
    )
    bootstrap = topics.bootstrap_servers
    Filebeat(
        "filebeat",
        replace(
            FilebeatArgs(
                namespace=namespace,
                image="filebeat:1",
                bootstrap_servers=bootstrap,
                elasticsearch_url=elasticsearch.url,
                results_topics=results,
                replicas=FilebeatReplicas(maximum=1),
                memory=MEMORY,
                keda=keda,
            ),
            **changes.get("filebeat", {}),
        ),
    )
    producers = Producers(
        "producers",
        ProducersArgs(
            namespace=namespace,
            image="producer:1",
            bootstrap_servers=bootstrap,
            count=4,
            cameras=cameras,
            credentials={"camera-00": {"username": "viewer", "password": pulumi.Output.secret("letmein")}},
            max_frame_bytes=2_000_000,
            memory=MEMORY,
        ),
    )
    for model in models:
        ModelJob(
            f"model-{model}",
            ModelJobArgs(
                namespace=namespace,
                image="spark:1",
                bootstrap_servers=bootstrap,
                model=Model.model_validate({"name": model, "kind": model, **changes.get("model", {})}),
            ),
        )
    consumer = Consumer(
        "consumer",
        replace(
            ConsumerArgs(
                namespace=namespace,
                image="consumer:1",
                bootstrap_servers=bootstrap,
                results_topics=results,
                replicas=ConsumerReplicas(),
                memory=MEMORY,
                keda=keda,
                volume_gib=10,
                retention_hours=48,
            ),
            **changes.get("consumer", {}),
        ),
    )
    Ui(
        "ui",
        replace(
            UiArgs(
                namespace=namespace,
                image="ui:1",
                bootstrap_servers=bootstrap,
                results_topics=results,
                elasticsearch_url=elasticsearch.url,
                consumer_urls=consumer.urls,
                producer_urls=producers.urls,
                cameras=[camera.name for camera in cameras],
                replicas=UiReplicas(maximum=1),
                memory=MEMORY,
                node_port=30080,
            ),
            **changes.get("ui", {}),
        ),
    )
    vpa = Vpa("vpa", VpaArgs(namespace=namespace, image_repository="registry.k8s.io", tools_image="consumer:1"))
    VerticalScaling("vertical", VerticalScalingArgs(namespace=namespace, vpa=vpa, targets=TARGETS))
    ImageCache(
        "image-cache", ImageCacheArgs(namespace=namespace, images={"spark": "spark:1", "ui": "ui:1"}, pause="pause:1")
    )


_unchanged: dict[str, Any] = {}


@pytest.fixture
def build(pulumi_mocks: Any) -> Build:
    """`build(**changes)`: the Kubernetes objects of the whole pipeline by `Kind/name`; the unchanged one is kept."""

    def built(**changes: Any) -> Mapping[str, Any]:
        if not changes and _unchanged:
            return _unchanged
        recorder = type(pulumi_mocks)()
        recorder.run(lambda: declare(**changes))
        objects = {
            f"{each.type.rsplit(':', 1)[-1]}/{each.inputs['metadata']['name']}": each
            for each in recorder.resources
            if each.type.startswith("kubernetes:")
        }
        if not changes:
            _unchanged.update(objects)
        return objects

    return built


def config_map_of_environment(objects: Any, model: str = "objects") -> str:
    """The name of the ConfigMap that the model's driver has its environment from."""
    (container,) = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    name: str = source["configMapRef"]["name"]
    return name


def config_map_of_files(objects: Any, model: str = "objects") -> str:
    """The name of the ConfigMap that the model's driver has its files from."""
    volumes = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]["spec"]["volumes"]
    (name,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
    return str(name)


def environment_of_driver(objects: Any, model: str = "objects") -> dict[str, str]:
    """What the model's driver reads from its environment."""
    data: dict[str, str] = objects[f"ConfigMap/{config_map_of_environment(objects, model)}"].inputs["data"]
    return data


def files_of_driver(objects: Any, model: str = "objects") -> dict[str, str]:
    """What the model's driver reads from its files."""
    data: dict[str, str] = objects[f"ConfigMap/{config_map_of_files(objects, model)}"].inputs["data"]
    return data
