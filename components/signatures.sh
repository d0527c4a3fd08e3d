# shellcheck shell=bash
# Functions about the signatures of images, which cosign makes and verifies. Each key is in two variables:
# ARGUS_KEY_<id>: its PEM text; ARGUS_KEY_<id>_NAME: what the stack calls it. Nothing asks the public transparency log.
# They need registries.sh.

require_cosign() {
  command -v cosign >/dev/null || {
    say "install cosign 3 (https://docs.sigstore.dev), which argus:images.signers needs to verify images"
    return 1
  }
}

# has_signed ID IMAGE OPTION...: whether this key has signed the image (by its digest); else prints what cosign says.
has_signed() {
  local options
  mapfile -t options < <(cosign_options "$2")
  {
    with_login "$2" cosign verify --key "env://ARGUS_KEY_$1" --insecure-ignore-tlog=true "${options[@]}" "${@:3}" "$2" >/dev/null
  } 2>&1
}

# verified 'ID...' IMAGE OPTION...: whether one of these keys has signed the image; else says why not, for each key.
verified() {
  local ids=$1 image=$2 id name said reasons=()
  for id in $ids; do
    said=$(has_signed "$id" "${@:2}") && return 0
    name=ARGUS_KEY_${id}_NAME
    reasons+=("$image: not verified by ${!name}: $(reason <<<"$said")")
  done
  printf '%s\n' "${reasons[@]}" >&2
  return 1
}

# The error in what cosign printed, in one line.
reason() { sed -n 's/^Error: //p' | head -n 1; }

# sign IMAGE OPTION...: signs the image (by its digest) with the key in COSIGN_PRIVATE_KEY. No service is asked: neither a
# log of signatures, nor a clock, nor for their certificates.
sign() {
  local said options kind=application/vnd.dev.sigstore
  mapfile -t options < <(cosign_options "$1")
  said=$(
    with_login "$1" cosign sign --yes --key env://COSIGN_PRIVATE_KEY "${options[@]}" "${@:2}" \
      --signing-config <(echo "{\"mediaType\":\"$kind.signingconfig.v0.2+json\",\"rekorTlogConfig\":{},\"tsaConfig\":{}}") \
      --trusted-root <(echo "{\"mediaType\":\"$kind.trustedroot+json;version=0.1\"}") "$1" 2>&1
  ) || {
    say "not signed: $(reason <<<"$said")"
    say "check argus:images.signing (is the passphrase that of this key?), and that this computer may push there"
    return 1
  }
}
