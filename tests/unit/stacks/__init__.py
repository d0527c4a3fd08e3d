"""The unit tests' own stacks, so that a test that checks numbers does not depend on those of a shipped stack.

LAB has a fixed number of pods, on machines like the lab's. In HOSTS numbers follow the lag and sizes follow the use.
"""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
LAB = FOLDER / "lab.yaml"
HOSTS = FOLDER / "hosts.yaml"


def configuration(file: Path) -> dict[str, Any]:
    """The `config` of a stack file, by its full keys (`argus:cameras`)."""
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    return config


def sections(file: Path, key: Path) -> dict[str, Any]:
    """The sections of a stack file by their names in the configuration's model, with this private key's file."""
    found = {name.removeprefix("argus:"): section for name, section in configuration(file).items()}
    return {**found, "ssh": {**found["ssh"], "privateKeyFile": str(key)}}
