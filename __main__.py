"""The whole stack in one read: configuration -> cluster -> platform -> pipeline -> outputs."""

import pulumi
import pulumi_kubernetes as kubernetes

from components import config, versions
from components.cluster import Cluster, ClusterArgs
from components.images import Images, ImagesArgs
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
    Producers,
    ProducersArgs,
    Topics,
    TopicsArgs,
    Ui,
    UiArgs,
    Zookeeper,
    ZookeeperArgs,
    pipeline_topics,
    results_topic,
)

settings = config.load()
models = [model.name for model in settings.models]
results_topics = [results_topic(model) for model in models]

# The machines become a cluster while the images are built.
cluster = Cluster("cluster", ClusterArgs.from_settings(settings))
images = Images(
    "images",
    ImagesArgs(
        registry=settings.images.registry,
        insecure=settings.images.insecure,
        overrides=settings.images.overrides,
        weights={model.name: model.weights for model in settings.models if model.kind == "objects"},
    ),
)


# Everything below lives in the cluster.
provider = kubernetes.Provider(
    "cluster",
    kubeconfig=cluster.kubeconfig,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    opts=pulumi.ResourceOptions(depends_on=cluster.drained),
)
in_cluster = pulumi.ResourceOptions(providers={"kubernetes": provider})
namespace = Namespace("argus", NamespaceArgs(kubernetes_version=settings.cluster.kubernetes_version), in_cluster).name

# Platform: where frames and results travel and rest.
zookeeper = Zookeeper(
    "zookeeper",
    ZookeeperArgs(
        namespace=namespace,
        image=images.refs["zookeeper"],
        replicas=settings.zookeeper.replicas,
        heap_mib=settings.zookeeper.heap_mib,
        volume_gib=settings.zookeeper.volume_gib,
        storage_class=settings.storage.class_name,
    ),
    in_cluster,
)
kafka = Kafka(
    "kafka",
    KafkaArgs(
        namespace=namespace,
        image=images.refs["kafka"],
        zookeeper_connect=zookeeper.connect,
        replicas=settings.kafka.replicas,
        heap_mib=settings.kafka.heap_mib,
        volume_gib=settings.kafka.volume_gib,
        max_message_bytes=settings.kafka.max_message_bytes,
        storage_class=settings.storage.class_name,
    ),
    in_cluster,
)
topics = Topics(
    "topics",
    TopicsArgs(
        namespace=namespace,
        image=images.refs["kafka"],
        bootstrap_servers=kafka.bootstrap_servers,
        topics=pipeline_topics(
            models=models,
            partitions=settings.kafka.partitions,
            brokers=settings.kafka.replicas,
            volume_gib=settings.kafka.volume_gib,
            retention_hours=settings.kafka.retention_hours,
            max_message_bytes=settings.kafka.max_message_bytes,
        ),
    ),
    in_cluster,
)
elasticsearch = Elasticsearch(
    "elasticsearch",
    ElasticsearchArgs(
        namespace=namespace,
        image=images.refs["elasticsearch"],
        tools_image=images.refs["consumer"],
        replicas=settings.elasticsearch.replicas,
        heap_mib=settings.elasticsearch.heap_mib,
        volume_gib=settings.elasticsearch.volume_gib,
        retention_days=settings.elasticsearch.retention_days,
        storage_class=settings.storage.class_name,
    ),
    in_cluster,
)
filebeat = Filebeat(
    "filebeat",
    FilebeatArgs(
        namespace=namespace,
        image=images.refs["filebeat"],
        bootstrap_servers=topics.bootstrap_servers,
        elasticsearch_url=elasticsearch.url,
        results_topics=results_topics,
        replicas=settings.filebeat.replicas,
    ),
    in_cluster,
)

# Pipeline: cameras -> frames -> models -> results -> disk and page.
producers = Producers(
    "producers",
    ProducersArgs(
        namespace=namespace,
        image=images.refs["producer"],
        bootstrap_servers=topics.bootstrap_servers,
        count=settings.producers.count,
        cameras=[CameraSpec(**camera.model_dump()) for camera in settings.filled_cameras],
        credentials={
            camera: {"username": login.username, "password": pulumi.Output.secret(login.password.get_secret_value())}
            for camera, login in settings.camera_credentials.items()
        },
        max_frame_bytes=settings.kafka.max_message_bytes,
    ),
    in_cluster,
)
for model in settings.models:
    ModelJob(
        f"model-{model.name}",
        ModelJobArgs(
            namespace=namespace,
            image=images.refs["spark"],
            bootstrap_servers=topics.bootstrap_servers,
            model=model.name,
            kind=model.kind,
            executors=model.executors,
            cores_per_executor=model.cores_per_executor,
            executor_memory_mib=model.executor_memory_mib,
            driver_memory_mib=model.driver_memory_mib,
            score_threshold=model.score_threshold,
            trigger_seconds=model.trigger_seconds,
            batch_size=model.batch_size,
            max_message_bytes=settings.kafka.max_message_bytes,
        ),
        in_cluster,
    )
consumer = Consumer(
    "consumer",
    ConsumerArgs(
        namespace=namespace,
        image=images.refs["consumer"],
        bootstrap_servers=topics.bootstrap_servers,
        results_topics=results_topics,
        replicas=settings.consumer.replicas,
        volume_gib=settings.consumer.volume_gib,
        retention_hours=settings.consumer.retention_hours,
        storage_class=settings.storage.class_name,
    ),
    in_cluster,
)
ui = Ui(
    "ui",
    UiArgs(
        namespace=namespace,
        image=images.refs["ui"],
        bootstrap_servers=topics.bootstrap_servers,
        results_topics=results_topics,
        elasticsearch_url=elasticsearch.url,
        consumer_urls=consumer.urls,
        producer_urls=producers.urls,
        cameras=[camera.name for camera in settings.cameras],
        replicas=settings.ui.replicas,
        node_port=settings.ui.node_port,
    ),
    in_cluster,
)

# What may have to start on another machine finds its image there.
ImageCache(
    "image-cache",
    ImageCacheArgs(
        namespace=namespace,
        images={name: images.refs[name] for name in ("filebeat", "producer", "spark", "ui")},
        pause=f"{settings.cluster.image_repository}/pause:{versions.PAUSE}",
    ),
    pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[ui])),
)

pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("uiUrl", f"http://{settings.cluster.endpoint}:{settings.ui.node_port}")
