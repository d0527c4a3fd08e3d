"""Autoscaling of the number and size of a stage's pods; a model's driver scales its executors itself."""

from components.autoscaling.cpu import CpuScaling, CpuScalingArgs
from components.autoscaling.keda import Keda, KedaArgs
from components.autoscaling.lag import KafkaIdentity, LagScaling, LagScalingArgs
from components.autoscaling.vpa import Vpa, VpaArgs

__all__ = [
    "CpuScaling",
    "CpuScalingArgs",
    "KafkaIdentity",
    "Keda",
    "KedaArgs",
    "LagScaling",
    "LagScalingArgs",
    "Vpa",
    "VpaArgs",
]
