"""Signatures of images: cosign verifies, on the computer that runs Pulumi, all that are named by the stack.

Images that are built here are verified where they are built (build_image.sh), because only that knows their digests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
from pulumi_command import local

from components import registries
from components.config import sections
from components.public_keys import fingerprint

ROOT: Final = Path(__file__).resolve().parent.parent
SCRIPT: Final = Path(__file__).with_name("verify_images.sh")
_SHOWN: Final = 16
"""How many digits of a key's fingerprint tell it from others."""


@dataclass(frozen=True, kw_only=True)
class SignaturesArgs:
    """The stack's section about images."""

    section: sections.Images


def keys_of(section: sections.Images, reference: str) -> list[str]:
    """The ids of the keys of which one must have signed an image; none if its signature is not looked at.

    Raises pulumi.RunError if no entry is for the image.
    """
    found = section.signer(reference)
    if found is None:
        raise pulumi.RunError(f"argus:images.signers: no entry is for {reference}")
    place, signer = found
    return [f"{place}_{number}" for number in range(len(signer.keys))]


def key_variables(section: sections.Images, ids: Iterable[str]) -> dict[str, str]:
    """The environment variables with these keys, and with what the stack calls them."""
    variables = {}
    for each in sorted(set(ids)):
        place, number = map(int, each.split("_"))
        key = section.signers[place].keys[number]
        variables[f"ARGUS_KEY_{each}"] = key
        variables[f"ARGUS_KEY_{each}_NAME"] = (
            f"argus:images.signers[{place}].keys[{number}] (SHA-256 {fingerprint(key)[:_SHOWN]}…)"
        )
    return variables


def named_images(section: sections.Images) -> list[str]:
    """Every image that the stack names, with its digest."""
    return sorted({section.pinned(each) for each in section.named.values()})


class Signatures(pulumi.ComponentResource):
    """Ends once every image that the stack names is verified; what depends on it is not touched before.

    The images are verified by their digests, so an image that was verified stays what it was. They are verified again
    when a reference, a digest or a key changes.
    """

    verified: pulumi.Resource

    def __init__(self, name: str, args: SignaturesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Signatures", name, None, opts)
        section = args.section
        keys = {reference: keys_of(section, reference) for reference in named_images(section)}
        lines = [f"{reference}\t{' '.join(ids)}\n" for reference, ids in keys.items() if ids]
        self.verified = local.Command(
            f"{name}-verified",
            create=f"bash {SCRIPT.relative_to(ROOT)}",
            stdin="".join(lines),
            environment={
                **key_variables(section, (each for ids in keys.values() for each in ids)),
                **registries.variables(section, (reference for reference, ids in keys.items() if ids)),
            },
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="30m", update="30m")),
        )
        self.register_outputs({})
