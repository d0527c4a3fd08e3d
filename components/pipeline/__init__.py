"""The pipeline: one component a service, wired by narrow outputs in `__main__`."""

from components.pipeline.consumer import Consumer, ConsumerArgs
from components.pipeline.elasticsearch import Elasticsearch, ElasticsearchArgs
from components.pipeline.filebeat import Filebeat, FilebeatArgs
from components.pipeline.image_cache import ImageCache, ImageCacheArgs
from components.pipeline.kafka import Kafka, KafkaArgs
from components.pipeline.model_job import ModelJob, ModelJobArgs
from components.pipeline.namespace import Namespace, NamespaceArgs
from components.pipeline.network_policies import NetworkPolicies, NetworkPoliciesArgs
from components.pipeline.producers import CameraSpec, Producers, ProducersArgs
from components.pipeline.topics import Topic, Topics, TopicsArgs, pipeline_topics
from components.pipeline.ui import Ui, UiArgs
from components.pipeline.vertical import VerticalScaling, VerticalScalingArgs
from components.pipeline.zookeeper import Zookeeper, ZookeeperArgs

__all__ = [
    "CameraSpec",
    "Consumer",
    "ConsumerArgs",
    "Elasticsearch",
    "ElasticsearchArgs",
    "Filebeat",
    "FilebeatArgs",
    "ImageCache",
    "ImageCacheArgs",
    "Kafka",
    "KafkaArgs",
    "ModelJob",
    "ModelJobArgs",
    "Namespace",
    "NamespaceArgs",
    "NetworkPolicies",
    "NetworkPoliciesArgs",
    "Producers",
    "ProducersArgs",
    "Topic",
    "Topics",
    "TopicsArgs",
    "Ui",
    "UiArgs",
    "VerticalScaling",
    "VerticalScalingArgs",
    "Zookeeper",
    "ZookeeperArgs",
    "pipeline_topics",
]
