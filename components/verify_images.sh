#!/usr/bin/env bash
# Verifies that each image is signed by one of its keys; names every one that is not, and then fails.
# stdin: one image per line: `REFERENCE WITH DIGEST<tab>IDS OF KEYS<tab>not empty if its registry uses plain http`.
# The keys are in the environment (signatures.sh).
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

# shellcheck source=components/signatures.sh
source "${BASH_SOURCE[0]%/*}/signatures.sh"

require_cosign
refused=0
while IFS=$'\t' read -r image keys insecure; do
  mapfile -t options < <(plain_http "$insecure")
  verified "$keys" "$image" "${options[@]}" || ((refused += 1))
done
if ((refused)); then
  say "$refused images are not verified, so nothing is rolled out. For each: if its registry or network failed, try again;" \
    "if you trust the image, have it signed with a key of argus:images.signers, or add its publisher's key there;" \
    "if you do not, find out who changed it, and give argus:images.digests the digest of one that is signed"
  exit 1
fi
