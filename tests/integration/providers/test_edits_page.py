"""docs/edits.md is what the real engine says: each change of each key, in a preview of a stack that the engine brought up.

The page is made under Pulumi's mocks, with a comparison of its own (tests/edits.py). Here the engine and the plugins'
stand-ins compare. What is made, made anew and deleted is the same, and so is the sentence of a refusal. A preview
claims more updates than there will be, as it does not know what a resource that changes will answer. So the page's
updates are no fewer than those that follow from known values, and no more than the preview claims. Left out is that of
the Kubernetes providers, which is claimed wherever the kubeconfig is read again.

The changes of QUICK are in `make test`, a minute. All of them, in `make test-full`, take some 25 minutes; those of one
key: `pytest tests/integration/providers/test_edits_page.py -k ui.nodePort`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pulumi.output import Unknown

from components.recorder import Registered
from tests import edits
from tests.integration.providers.inline import Program, language_host
from tests.integration.providers.site import PROVIDERS, Preview, Site
from tests.unit.components.conftest import ROOT

QUICK = (
    "ssh.hostKeys",
    "cluster.endpoint",
    "kafka.heapMiB",
    "machines.workers[].address",
    "machines.workers[].standby",
)
"""Nothing happens; it is refused; pods start anew; a step is made anew; volumes are deleted, and made."""

RESTARTS = "restarts the pods of"


@dataclass(frozen=True)
class Stack:
    """A stack that was brought up."""

    site: Site
    program: Program
    before: Sequence[Registered]
    """What it declares where nothing has changed."""

    def effects(self, change: edits.Change) -> tuple[edits.Effect, edits.Effect]:
        """What a preview knows that `pulumi up` will do, and what it claims."""
        preview = self.site.preview(change)
        if preview.error:
            refused = edits.Effect(refused=edits.reason(preview.error))
            return refused, refused
        after = self.program.resources
        old = {each.urn: each.inputs for each in self.before}
        known = [replace(each, inputs=as_before(old.get(each.urn), each.inputs)) for each in after]
        claimed = effect(preview, self.before, after)
        updates = {urn for urn in preview.steps.get("update", ()) if urn.rpartition("::")[2] not in PROVIDERS}
        assert updates == {each.urn for each in claimed.updated}, "the engine updates what is declared as before"
        return effect(preview, self.before, known), claimed


BroughtUp = Callable[[edits.Change | None], Stack]


@pytest.fixture(scope="module")
def brought_up(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BroughtUp]:
    """`brought_up(given)`: the stack, which has what a sample has as given; each is brought up once."""
    program = Program()
    with edits.at_home(), language_host(program) as client:

        @cache
        def brought_up(given: edits.Change | None) -> Stack:
            site = Site(tmp_path_factory.mktemp("site"), plugins, given=given, client=client)
            site.up()
            assert site.preview() == Preview(steps={})
            return Stack(site, program, list(program.resources))

        yield brought_up


@pytest.fixture(scope="module")
def rows() -> Mapping[str, Sequence[edits.Row]]:
    """The page's, by key."""
    return edits.read_rows((ROOT / "docs/edits.md").read_text())


def as_before(old: Any, new: Any) -> Any:
    """The new value, with the old one in each place where the new one is not known."""
    if isinstance(new, Unknown):
        return old
    if isinstance(new, dict):
        olds = old if isinstance(old, dict) else {}
        return {key: as_before(olds.get(key), each) for key, each in new.items()}
    if isinstance(new, list):
        items = old if isinstance(old, list) else []
        return [as_before(items[at] if at < len(items) else None, each) for at, each in enumerate(new)]
    return new


def effect(preview: Preview, before: Sequence[Registered], after: Sequence[Registered]) -> edits.Effect:
    """The preview's steps; of the updates those of resources that differ.

    What is in both is called by its name before: that of a ConfigMap may follow from what is not known.
    """
    assert preview.steps.keys() <= {"create", "update", "replace", "delete"}
    resources = {each.urn: named(each) for each in (*after, *before)}
    steps = {operation: [resources[urn] for urn in sorted(urns)] for operation, urns in preview.steps.items()}
    differ = edits.compare(before, after)
    differing, restarted = ({each.urn for each in some} for some in (differ.updated, differ.restarted))
    updated = [each for each in steps.get("update", ()) if each.urn in differing and each.name not in PROVIDERS]
    return edits.Effect(
        created=steps.get("create", ()),
        replaced=steps.get("replace", ()),
        deleted=steps.get("delete", ()),
        updated=updated,
        restarted=[each for each in updated if each.urn in restarted],
    )


def named(resource: Registered) -> Registered:
    """The resource; a new object whose name is not known yet, as its content is not, has that of the resource."""
    metadata = resource.inputs.get("metadata")
    if not isinstance(metadata, dict) or isinstance(metadata.get("name"), str):
        return resource
    return replace(resource, inputs={**resource.inputs, "metadata": {**metadata, "name": resource.name}})


def titles(claims: Mapping[str, Counter[str]], *verbs: str) -> Counter[str]:
    return sum((claims.get(verb, Counter()) for verb in verbs), Counter())


@pytest.mark.parametrize(
    ("key", "number"),
    [
        pytest.param(key, number, id=f"{key}-{number}", marks=[] if key in QUICK else pytest.mark.full)
        for key, samples in edits.SAMPLES.items()
        for number in range(len(samples))
    ],
)
def test_the_page_says_what_the_engine_does(
    brought_up: BroughtUp, rows: Mapping[str, Sequence[edits.Row]], key: str, number: int
) -> None:
    row, sample = rows[key][number], edits.SAMPLES[key][number]
    known, claimed = brought_up(sample.given).effects(sample.change)
    assert (row.refused, row.data) == (known.refused, edits.data(key, known))
    least, said, most = edits.claims(known), row.claims, edits.claims(claimed)
    for verb in ("makes", "makes anew", "deletes"):
        assert titles(said, verb) == titles(least, verb), verb
    for verbs in ((RESTARTS,), (RESTARTS, "updates")):
        missing = titles(least, *verbs) - titles(said, *verbs)
        untrue = titles(said, *verbs) - titles(most, *verbs)
        assert (missing, untrue) == (Counter(), Counter()), verbs
