"""What the manifests of the pipeline and of autoscaling share; used as `from components import kubernetes as k`."""
# ruff: noqa: F403 - every public name of the parts is one of the package.

from components.kubernetes.access import *
from components.kubernetes.configuration import *
from components.kubernetes.containers import *
from components.kubernetes.names import *
from components.kubernetes.pods import *
from components.kubernetes.services import *
from components.kubernetes.volumes import *
from components.kubernetes.workloads import *
