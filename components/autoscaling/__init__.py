"""What changes the number of a stage's pods by its load, and their size; a model's driver scales its own executors."""

from components.autoscaling.cpu import CpuScaling, CpuScalingArgs
from components.autoscaling.keda import Keda, KedaArgs
from components.autoscaling.lag import LagScaling, LagScalingArgs
from components.autoscaling.vpa import Vpa, VpaArgs

__all__ = ["CpuScaling", "CpuScalingArgs", "Keda", "KedaArgs", "LagScaling", "LagScalingArgs", "Vpa", "VpaArgs"]
