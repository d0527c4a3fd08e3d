"""What weights are: read from their metadata and graph, by the program at preview and by the job that runs them."""

from apps.weights.contract import Contract, Precision, Thresholds
from apps.weights.files import WeightsError
from apps.weights.read import Weights, read_weights, resized

__all__ = ["Contract", "Precision", "Thresholds", "Weights", "WeightsError", "read_weights", "resized"]
