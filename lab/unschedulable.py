"""The line of `make status` about pods that cannot be scheduled, in the same words as on the page."""

import json
from datetime import UTC, datetime

from apps.ui.unschedulable import advice, unschedulable
from lab import stack
from lab.config import TOOLS, LabError
from lab.shell import run

_NAMESPACE = "argus"


def unschedulable_advice() -> str | None:
    """The advice for pods that cannot be scheduled; None if there are none, or no cluster answers."""
    try:
        kubectl = [str(TOOLS / "kubectl"), "--kubeconfig", str(stack.kubeconfig()), "--request-timeout=5s"]
        pending = ["get", "pods", "--namespace", _NAMESPACE, "--field-selector=status.phase=Pending", "--output=json"]
        pods = json.loads(run([*kubectl, *pending], timeout=15).stdout)["items"]
    except (LabError, OSError):
        return None
    return advice(unschedulable(pods, datetime.now(UTC)), stack.standby())
