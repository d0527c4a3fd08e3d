"""The stack's configuration: strict sections, checks across them, and one error that lists every mistake."""

from components.config.load import ConfigError, load, load_values
from components.config.sections import Backup, Cluster, Memory, Settings

__all__ = ["Backup", "Cluster", "ConfigError", "Memory", "Settings", "load", "load_values"]
