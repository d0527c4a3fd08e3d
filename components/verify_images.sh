#!/usr/bin/env bash
# Verifies that each image is signed by one of its keys; names every one that is not, and then fails.
# stdin: one image per line: `REFERENCE WITH DIGEST<tab>IDS OF KEYS`.
# The keys are in the environment (signatures.sh), and so is what the stack knows of registries (registries.sh).
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

# shellcheck source=components/registries.sh
source "${BASH_SOURCE[0]%/*}/registries.sh"
# shellcheck source=components/signatures.sh
source "${BASH_SOURCE[0]%/*}/signatures.sh"

require_cosign
registries=''
trap '[[ ! $registries ]] || rm -rf "$registries"' EXIT
open_registries
refused=0
while IFS=$'\t' read -r image keys; do
  verified "$keys" "$image" || ((refused += 1))
done
if ((refused)); then
  say "$refused images are not verified, so nothing is rolled out. For each: if its registry or network failed, try again;" \
    "if you trust the image, have it signed with a key of argus:images.signers, or add its publisher's key there;" \
    "if you do not, find out who changed it, and give argus:images.digests the digest of one that is signed"
  exit 1
fi
