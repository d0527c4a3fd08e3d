"""Reads weights from their metadata and graph, for the program at preview and for the job that runs them."""

from apps.weights.contract import Contract, Precision, Thresholds
from apps.weights.files import WeightsError
from apps.weights.read import Weights, read_weights, resized

__all__ = ["Contract", "Precision", "Thresholds", "Weights", "WeightsError", "read_weights", "resized"]
