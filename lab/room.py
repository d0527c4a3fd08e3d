"""What `make status` says of pods that find no room: the page's own words, asked for over the lab's kubeconfig."""

import json
from datetime import UTC, datetime

from apps.ui.room import advice, waiting
from lab import stack
from lab.config import TOOLS, LabError
from lab.shell import run

_NAMESPACE = "argus"


def room() -> str | None:
    """None where every pod has found its machine, and where there is no cluster to ask."""
    try:
        kubectl = [str(TOOLS / "kubectl"), "--kubeconfig", str(stack.kubeconfig()), "--request-timeout=5s"]
        pending = ["get", "pods", "--namespace", _NAMESPACE, "--field-selector=status.phase=Pending", "--output=json"]
        pods = json.loads(run([*kubectl, *pending], timeout=15).stdout)["items"]
    except (LabError, OSError):
        return None
    return advice(waiting(pods, datetime.now(UTC)), stack.standby())
