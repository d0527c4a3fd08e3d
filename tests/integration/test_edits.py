"""docs/edits.md is what the program does: it makes all changes of all keys, under Pulumi's mocks, in ten minutes."""

import pytest

from tests import edits
from tests.unit.components.conftest import ROOT


@pytest.mark.full
def test_the_page_is_current_and_no_change_loses_data_but_those_that_it_names() -> None:
    found = list(edits.effects())
    assert {key for key, _, effect in found if effect.lost} == edits.DESTROYS.keys()
    assert (ROOT / "docs/edits.md").read_text() == edits.page(found), "run `make docs`"
