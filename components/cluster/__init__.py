"""The cluster: one component a step, all of them put together by `Cluster`."""

from components.cluster.cluster import Cluster, ClusterArgs

__all__ = ["Cluster", "ClusterArgs"]
