"""`pulumi destroy` leaves the machines as they were, so the next `make up` finds bare machines and goes well."""

import json

from lab.config import machines
from tests.e2e.conftest import UP_LIMIT_S, Stack, make
from tests.e2e.machines import traces


def test_destroy_leaves_bare_machines_for_the_next_up(stack: Stack) -> None:
    stack.pulumi("destroy", "--yes", "--skip-preview")
    left = {machine.name: traces(machine) for machine in machines()}
    assert not any(left.values()), json.dumps(left, indent=2)

    make("up", UP_LIMIT_S)
    stack.connect()
    assert len(stack.cluster.nodes()) == len(left)
