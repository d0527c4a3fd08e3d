"""Removing comments and unused functions from scripts does not change what they do, checked with bash."""

import subprocess
from pathlib import Path

import pytest

from components import shell
from tests.unit.components.conftest import ROOT

SCRIPTS = sorted(path for path in ROOT.glob("components/**/*.sh") if "bash" in path.read_text().partition("\n")[0])


def bash(script: str, *arguments: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", script, "script", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def as_bash_reads_it(script: str) -> str:
    """The script as bash prints it after parsing: normalized and without comments."""
    return bash(f"script() {{\n{script}\n}}\ndeclare -f script")


def functions(script: str) -> list[str]:
    """The names of the functions defined at the start of a line, according to bash."""
    lines = [line for line in bash(f"{script}\ndeclare -F").splitlines() if line.startswith("declare -f ")]
    return [line.removeprefix("declare -f ") for line in lines]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_bash_reads_the_same_in_every_script(path: Path) -> None:
    text = path.read_text()
    names = [line.partition("()")[0] for line in text.splitlines() if line.partition("() ")[2][:1] in {"{", "("}]
    used = f"{text}\n: {' '.join(map(str.strip, names))}"
    assert as_bash_reads_it(shell.minimal(used)) == as_bash_reads_it(used)


NASTY = r"""#!/usr/bin/env bash
# A comment, with a quote that isn't closed: " ( ${ <<END

words=(one # a comment that isn't one more word
  'two # no comment' "three # no comment

  # nor this, after a blank line" four\ #five)
printf '<%s>\n' "${words[@]}" "${#words[@]}" "$#" "${words[0]#o}" "${words[3]//#/\"}" a#b 10#c
  # An indented one.
cat <<FILE # a comment that follows a here-document's name
# no comment, with "quotes' and $(echo "a command" # a comment in it
)

FILE
cat <<'FILE' | tr a-z A-Z
$(not run) # no comment isn't (
FILE
echo "$(
  # A comment between parentheses.

  echo "nested $(echo '#') $((1 + (2)))" # "
)" <<<"# no comment" # the last
case $# in
  # A comment among patterns.
  0 | 1) echo "few" ;; # few
  *) echo many ;;
esac
if (($# > 1)); then echo \# "more $'#'" $'it\'s # none'; fi
echo continued \
  on # the next line
"""


@pytest.mark.parametrize("arguments", [(), ("a", "b")])
def test_what_looks_like_a_comment_stays(arguments: tuple[str, ...]) -> None:
    minimal = shell.minimal(NASTY)
    assert bash(minimal, *arguments) == bash(NASTY, *arguments)
    assert as_bash_reads_it(minimal) == as_bash_reads_it(NASTY)


def test_comments_and_blank_lines_go() -> None:
    minimal = shell.minimal(NASTY)
    for comment in (
        "A comment, with",
        "isn't one more",
        "indented",
        "that follows",
        "parentheses",
        "the last",
        "few #",
    ):
        assert comment not in minimal
    assert shell.minimal("a # b\n\n\n  # c\nd\n") == "a\nd"


FUNCTIONS = """
# one: is used.
one() { two "$@"; }
two() {
  echo "two says $(three) and not unused"
}
three() (
  echo three
)
unused() {
  cat <<FILE
}
FILE
}
in_document() { echo document; }
at_the_end() { echo end; }
condition() { false; }
"""
STEP = """
trap 'at_the_end' EXIT
one a
if condition; then unused_too; fi
cat <<FILE
$(in_document)
FILE
"""


def test_functions_come_with_those_that_they_use() -> None:
    minimal = shell.minimal(FUNCTIONS, STEP)
    assert functions(minimal) == ["at_the_end", "condition", "in_document", "one", "three", "two"]
    assert bash(minimal) == bash(f"{FUNCTIONS}\n{STEP}") == "two says three and not unused\ndocument\nend\n"


def test_a_script_changes_with_what_it_uses_and_with_nothing_else() -> None:
    minimal = shell.minimal(FUNCTIONS, STEP)
    for text in ("one: is used", "one: is used. It's \"new"), ("cat <<FILE\n}", "cat <<FILE\n} #"):
        assert FUNCTIONS.count(text[0]) == 1
        assert shell.minimal(FUNCTIONS.replace(*text), STEP) == minimal
    assert shell.minimal(f"{FUNCTIONS}\nanother() {{ one; }}", STEP) == minimal
    assert shell.minimal(FUNCTIONS.replace("echo three", "echo 3"), STEP) != minimal


@pytest.mark.parametrize("script", ["echo 'a", 'echo "a', "(a", "cat <<END\nEN", "${a", '"$(a"', "a=$'b"])
def test_a_script_that_does_not_end_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match=r"should follow|has no end"):
        shell.minimal(script)
