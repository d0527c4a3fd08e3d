"""What `pulumi preview` claims of the whole program: the real engine with the plugins' stand-ins, and a stack whose state
the engine wrote in a complete `pulumi up`. There is no machine and no cluster.

All three read the kubeconfig again. What is read then is not known in a preview, which would claim an update of every
object if the providers were not given the last one.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import edits
from tests.integration.providers.site import PROVIDERS, Site

pytestmark = pytest.mark.full

NOW, NEXT_QUARTER = datetime(2026, 5, 15, 12), datetime(2026, 8, 15, 12)
CLOCK = """
import datetime, os
class Now(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(os.environ["NOW"]).replace(tzinfo=tz)
datetime.datetime = Now
"""
"""Sets the program's calendar; Python runs it first."""


@pytest.fixture(scope="module")
def site(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(CLOCK)
    with edits.at_home():
        made = Site(folder / "stack", plugins, PYTHONPATH=str(folder))
        made.up(NOW=NOW.isoformat())
        yield made


@pytest.fixture(scope="module")
def declared(site: Site) -> tuple[edits.Program, Any]:
    """What the program itself declares of the same stack, under Pulumi's mocks."""
    return edits.brought_up()


def names(resources: Sequence[Any]) -> set[str]:
    return {each.name for each in resources}


def mend(config: edits.Config) -> None:
    config["ssh"]["rerun"] = "2026-11-29"


def claims(site: Site, change: edits.Change | None = None, *arguments: str, now: datetime = NOW) -> dict[str, set[str]]:
    """The names of the resources that a preview would change, by operation."""
    preview = site.preview(change, *arguments, NOW=now.isoformat())
    assert not preview.error
    return preview.names()


def test_a_second_update_changes_nothing(site: Site) -> None:
    assert claims(site) == {}


AFTER_MORE = {
    f"cluster-{each}"
    for name in ("cp1", "cp2", "cp3", "worker1")
    for each in (f"network-{name}", f"firewall-{name}", f"{name}-joined")
}
"""With a new node each node's routes and firewall change. An invitation of a node stays as it is, but a preview cannot know that."""


@pytest.mark.parametrize(("change", "follows"), [(mend, set()), (edits.add_control_planes, AFTER_MORE)])
def test_mending_and_more_control_planes_replace_nothing_and_leave_pods_alone(
    site: Site, declared: tuple[edits.Program, Any], change: edits.Change, follows: set[str]
) -> None:
    program, before = declared
    effect = program.effect(edits.Sample(says="", change=change), before)
    assert not effect.refused and not effect.replaced and not effect.deleted
    found = claims(site, change)
    assert found.keys() <= {"create", "update"}
    assert found.get("create", set()) == names(effect.created)
    assert found["update"] == names(effect.updated) | PROVIDERS | follows


def test_a_new_quarter_renews_kubeconfig_and_certificate_in_their_places(site: Site) -> None:
    renewed = {"cluster-kubeconfig-read", "ui-tls-page", "ui-tls-secret"}
    assert claims(site, now=NEXT_QUARTER) == {"update": renewed | PROVIDERS}


def test_search_nodes_that_have_lost_all_disks_are_told_by_two_resources(site: Site) -> None:
    """As in docs/operations.md."""
    ours = ("elasticsearch-template-job", "elasticsearch-formed")
    found = claims(site, None, *(word for name in ours for word in ("--replace", f"**::{name}")))
    assert set().union(*found.values()) == set(ours)
