"""Each constant is defined once."""

import ast
import gc
from collections import defaultdict

from tests.unit.components.conftest import ROOT


def test_no_text_is_the_public_constant_of_two_modules() -> None:
    places = defaultdict(set)
    # Garbage of earlier tests whose end runs Python code would disturb `ast.parse` (an error of Python 3.11).
    gc.collect()
    for path in ROOT.glob("components/**/*.py"):
        for node in ast.parse(path.read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                for target in targets:
                    if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_"):
                        places[value.value].add(f"{path.relative_to(ROOT)}: {target.id}")
    assert places
    assert {text: where for text, where in places.items() if len(where) > 1} == {}
