"""Helpers for the manifests of the pipeline and of autoscaling; import as `from components import kubernetes as k`."""
# ruff: noqa: F403 - the package exports every public name of its modules.

from components.kubernetes.access import *
from components.kubernetes.configuration import *
from components.kubernetes.containers import *
from components.kubernetes.names import *
from components.kubernetes.namespaces import *
from components.kubernetes.pods import *
from components.kubernetes.services import *
from components.kubernetes.volumes import *
from components.kubernetes.workloads import *
