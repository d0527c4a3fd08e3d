"""What machines print: a script's answer as remote.py frames it, for stand-ins of machines and of ssh."""

import base64
import re

SHELL = """\
answer() {
  local encoded
  encoded=$(printf %s "$1" | base64 -w 0)
  printf '\\nargus-answer:%s:%s:\\n' "${#encoded}" "$encoded"
}
"""
"""A bash function for a stand-in of ssh: `answer TEXT` prints what a machine prints whose script answers TEXT."""


def printed(answer: str) -> str:
    """What a machine prints whose script answers this."""
    encoded = base64.b64encode(answer.encode()).decode()
    return f"\nargus-answer:{len(encoded)}:{encoded}:\n"


def unpacked(command: str) -> str:
    """The text of every script that a command line hands to a machine's login shell; itself without one."""
    found = re.findall(r" argus ([A-Za-z0-9+/= ]+) \.", command)
    return "\n".join(base64.b64decode(words.replace(" ", "")).decode() for words in found) or command
