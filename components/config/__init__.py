"""The stack's configuration: strict sections, checks across them, and one error that lists every mistake."""

from components.config.load import ConfigError, load, load_values
from components.config.sections import Backup, Cluster, Machine, Machines, Memory, Settings, Ssh

__all__ = [
    "Backup",
    "Cluster",
    "ConfigError",
    "Machine",
    "Machines",
    "Memory",
    "Settings",
    "Ssh",
    "load",
    "load_values",
]
