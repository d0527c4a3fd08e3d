"""The whole stack in one read: configuration -> cluster -> platform -> pipeline -> outputs."""

import pulumi
import pulumi_kubernetes as kubernetes

from components import config, registrations, stack_outputs, versions
from components.autoscaling import Keda, KedaArgs, Vpa, VpaArgs
from components.cluster import Cluster, ClusterArgs
from components.images import Images, ImagesArgs
from components.pipeline import (
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
)

settings = config.load()
registrations.wait_for_all()

# What this stack has made so far: which versions the cluster can be upgraded to, that it keeps its network, and which
# machines need no second look.
made = stack_outputs.last("kubernetesVersion", "network", "looks")

# The machines become a cluster while the images are built; they are looked at first.
cluster = Cluster(
    "cluster",
    ClusterArgs.from_settings(
        settings,
        running_version=made.apply(lambda outputs: outputs.get("kubernetesVersion")),
        running_network=made.apply(lambda outputs: outputs.get("network")),
        looks=made.apply(lambda outputs: outputs.get("looks", {})),
    ),
)
image = Images("images", ImagesArgs.from_settings(settings), pulumi.ResourceOptions(depends_on=cluster.known)).refs

# Everything below lives in the cluster, and is gone before its machines are drained.
provider = kubernetes.Provider(
    "cluster",
    kubeconfig=cluster.kubeconfig,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    opts=pulumi.ResourceOptions(depends_on=cluster.drained),
)
in_cluster = pulumi.ResourceOptions(providers={"kubernetes": provider})
namespace = Namespace(
    "argus", NamespaceArgs(name="argus", kubernetes_version=settings.cluster.kubernetes_version), in_cluster
).name
NetworkPolicies("network-policies", NetworkPoliciesArgs.from_settings(settings, namespace=namespace), in_cluster)

# Platform: what changes the numbers of pods, and where frames and results travel and rest.
keda = Keda("keda", KedaArgs(namespace=namespace), in_cluster) if settings.scales_by_lag else None
zookeeper = Zookeeper(
    "zookeeper", ZookeeperArgs.from_settings(settings, namespace=namespace, image=image["zookeeper"]), in_cluster
)
kafka = Kafka(
    "kafka",
    KafkaArgs.from_settings(settings, namespace=namespace, image=image["kafka"], zookeeper_connect=zookeeper.connect),
    in_cluster,
)
bootstrap_servers = Topics(
    "topics",
    TopicsArgs.from_settings(
        settings, namespace=namespace, image=image["kafka"], bootstrap_servers=kafka.bootstrap_servers
    ),
    in_cluster,
).bootstrap_servers
elasticsearch = Elasticsearch(
    "elasticsearch",
    ElasticsearchArgs.from_settings(
        settings, namespace=namespace, image=image["elasticsearch"], tools_image=image["consumer"]
    ),
    in_cluster,
)
Filebeat(
    "filebeat",
    FilebeatArgs.from_settings(
        settings,
        namespace=namespace,
        image=image["filebeat"],
        bootstrap_servers=bootstrap_servers,
        elasticsearch_url=elasticsearch.url,
        keda=keda,
    ),
    in_cluster,
)

# Pipeline: cameras -> frames -> models -> results -> disk and page.
models = [
    ModelJob(
        f"model-{model.name}",
        ModelJobArgs.from_settings(
            settings, model, namespace=namespace, image=image["spark"], bootstrap_servers=bootstrap_servers
        ),
        in_cluster,
    )
    for model in settings.models
]
producers = Producers(
    "producers",
    ProducersArgs.from_settings(
        settings, namespace=namespace, image=image["producer"], bootstrap_servers=bootstrap_servers, models=models
    ),
    in_cluster,
)
consumer = Consumer(
    "consumer",
    ConsumerArgs.from_settings(
        settings, namespace=namespace, image=image["consumer"], bootstrap_servers=bootstrap_servers, keda=keda
    ),
    in_cluster,
)
ui = Ui(
    "ui",
    UiArgs.from_settings(
        settings,
        namespace=namespace,
        image=image["ui"],
        bootstrap_servers=bootstrap_servers,
        elasticsearch_url=elasticsearch.url,
        consumer_urls=consumer.urls,
        producer_urls=producers.urls,
    ),
    in_cluster,
)

# Pods of the size that they need.
if settings.scales_vertically:
    vpa = Vpa("vpa", VpaArgs.from_settings(settings, namespace=namespace, tools_image=image["consumer"]), in_cluster)
    VerticalScaling("vertical", VerticalScalingArgs.from_settings(settings, namespace=namespace, vpa=vpa), in_cluster)

# What may have to start on another machine finds its image there.
ImageCache(
    "image-cache",
    ImageCacheArgs(
        namespace=namespace,
        images={name: image[name] for name in ("filebeat", "producer", "spark", "ui")},
        pause=f"{settings.cluster.image_repository}/pause:{versions.PAUSE}",
    ),
    pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[ui, producers])),
)

pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("kubernetesVersion", cluster.kubernetes_version)
pulumi.export("network", cluster.network)
pulumi.export("looks", cluster.looks)
pulumi.export("uiUrl", f"http://{settings.cluster.endpoint}:{settings.ui.node_port}")
