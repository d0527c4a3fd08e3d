"""The cluster: one component a step, all of them put together by `Cluster`."""

from components.cluster.args import ClusterArgs
from components.cluster.cluster import Cluster

__all__ = ["Cluster", "ClusterArgs"]
