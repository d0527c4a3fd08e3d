"""The kubeconfig of Kubernetes providers: what was read; in a preview that cannot know it, that of the last update."""

from typing import Any

import pulumi
import pytest

from components import remote
from components.cluster.kubeconfig import Kubeconfig
from tests.unit.components.cluster.conftest import cluster_args
from tests.unit.components.conftest import Recorder, ssh_options
from tests.unit.components.host_keys import host_key

LAST, READ = "kind: Config # the last\n", "kind: Config # read\n"
SSH = remote.Ssh(options=ssh_options(), host_keys={"192.0.2.10": [host_key("cp1")]})


def given(recorder: Recorder, *, last: str = LAST, read: str | None = None, preview: bool = True) -> tuple[Any, bool]:
    """The kubeconfig that providers get, and whether it is a secret. Without `read`, the preview does not know it."""
    if read is not None:
        recorder.outputs["command:local:Command"] = lambda _name, _inputs: {"stdout": f"# asked\n{read}"}

    def program() -> pulumi.Output[Any]:
        for_providers = Kubeconfig("k", cluster_args(ssh=SSH, running_kubeconfig=last)).for_providers
        known, secret = for_providers.is_known(), for_providers.is_secret()
        return pulumi.Output.all(pulumi.Output.from_input(known), pulumi.Output.from_input(secret)).apply(
            lambda told: pulumi.Output.all(for_providers if told[0] else None, told[1])
        )

    kubeconfig, secret = recorder.run(program, preview=preview)
    return kubeconfig, secret


@pytest.mark.parametrize("preview", [False, True])
def test_providers_get_what_was_read(pulumi_mocks: Recorder, preview: bool) -> None:
    assert given(pulumi_mocks, read=READ, preview=preview) == (READ, True)


def test_a_preview_that_cannot_know_it_takes_the_last_and_shows_that_it_may_change(pulumi_mocks: Recorder) -> None:
    kubeconfig, secret = given(pulumi_mocks)
    assert secret
    assert kubeconfig.startswith(LAST)
    comments = kubeconfig.removeprefix(LAST).strip().splitlines()
    assert comments and all(each.startswith("#") for each in comments)


def test_before_the_first_update_it_is_not_known(pulumi_mocks: Recorder) -> None:
    assert given(pulumi_mocks, last="") == (None, True)
