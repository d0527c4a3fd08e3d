"""The Kubernetes cluster: one component per step, combined by `Cluster`."""

from components.cluster.args import ClusterArgs
from components.cluster.cluster import Cluster

__all__ = ["Cluster", "ClusterArgs"]
