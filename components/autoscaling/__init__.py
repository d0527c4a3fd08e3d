"""What changes the number of a stage's pods by its load; a model's driver scales its own executors."""

from components.autoscaling.cpu import CpuScaling, CpuScalingArgs

__all__ = ["CpuScaling", "CpuScalingArgs"]
