"""docs/production.md is what its commands print, and its commands exist."""

import importlib
import re
from collections.abc import Mapping

import pytest

from components.production import page, serving
from components.production.page import PAGE, ROOT, parts
from components.production.stack import Declared

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made() -> Mapping[str, str]:
    return parts()


def test_the_page_is_what_make_docs_writes(made: Mapping[str, str]) -> None:
    assert page.page(TEXT, made) == TEXT, "docs/production.md is stale: run `python -m components.production.page`"


def test_a_part_that_the_page_lacks_is_an_error(made: Mapping[str, str]) -> None:
    with pytest.raises(LookupError, match="has not exactly the parts ports, sizes, downloads"):
        page.page(TEXT.replace("<!-- sizes: made", "<!-- size: made"), made)


def test_ports_follow_the_stack(declared: Declared) -> None:
    cluster = declared.settings.cluster.model_copy(update={"endpoint_port": 9443})
    text = page.ports(declared.settings.model_copy(update={"cluster": cluster}))
    assert "| a control plane | TCP 6443 and 9443 |" in text
    assert "listens at 10250; a control plane also at 2379, 2380, 6443, 10257, 10259, 9443." in text


@pytest.mark.parametrize("name", sorted(set(re.findall(r"make ([a-z-]+) [A-Z]+=", TEXT))))
def test_a_command_of_the_page_is_one_of_make(name: str) -> None:
    assert re.search(rf"^{name}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "words", re.findall(r"^ *\.venv/bin/python -m (components\.production\.[^#\n]+)", TEXT, re.MULTILINE)
)
def test_an_option_of_a_command_of_the_page_is_one_of_its_program(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, *arguments = words.split()
    name = f"{module}.__main__" if module.endswith(".bundle") else module
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main([*arguments, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(word in told for word in arguments if word.startswith("--"))


@pytest.mark.parametrize("file", sorted(set(re.findall(r"\]\(([\w./-]+\.(?:md|yaml))(?:#[\w-]*)?\)", TEXT))))
def test_a_page_that_it_links_to_exists(file: str) -> None:
    assert (PAGE.parent / file).resolve().exists()


@pytest.mark.parametrize("words", re.findall(r"python3 serve\.py ([^#&\n]+)", TEXT))
def test_a_line_with_serve_is_one_that_it_understands(words: str) -> None:
    assert serving.parser().parse_args(words.split())
