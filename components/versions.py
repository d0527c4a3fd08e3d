"""All versions that Argus pins for its clusters; tools and images pin theirs in lock files."""

from typing import Final

KUBERNETES: Final = "1.36.1"
KUBERNETES_MINORS: Final = ("1.35", "1.36")
"""The minor versions that the kubeadm configuration supports."""

CONTAINERD: Final = (("1.35", "1.6"), ("1.38", "2.0"))
"""The oldest containerd that a kubelet starts with, from each of these minor versions of Kubernetes on (ADR 52)."""

KEDA: Final = "2.21.0"
KEDA_IMAGES: Final = "ghcr.io/kedacore"
"""Where its publisher has its images."""

VPA: Final = "1.8.1"
METRICS_SERVER: Final = "v0.9.0"
PAUSE: Final = "3.10.2"
