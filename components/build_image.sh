#!/usr/bin/env bash
# Builds ARGUS_IMAGE and pushes it, unless its registry has it already; the tag is a hash of the content.
# ARGUS_ARCHIVE: not empty: a folder that the image is written to instead, as skopeo's `dir:`, unless it is there.
# With ARGUS_KEYS, what the registry has counts only if one of these keys has signed it, as this image of this tag.
# stdin: the build context, one file per line: `SOURCE<tab>PATH IN THE CONTEXT`.
# ARGUS_DOCKERFILE: path in the context. ARGUS_BASE: the image that it builds on. ARGUS_PLATFORM: what it is for, as linux/amd64.
# ARGUS_REBUILD: any word; another one fetches the base anew, and builds every layer again.
# ARGUS_REGISTRIES: what the stack knows of registries (registries.sh).
# ARGUS_PRINT_DIGEST: not empty if the image's digest in the registry is to be printed.
# ARGUS_KEYS: the ids of the keys that verify it (signatures.sh); empty if none does.
# COSIGN_PRIVATE_KEY, COSIGN_PASSWORD: the key that signs it, and its passphrase; unset if this computer has none.
set -euo pipefail

: "${ARGUS_IMAGE:?}" "${ARGUS_DOCKERFILE:?}" "${ARGUS_BASE:?}" "${ARGUS_PLATFORM:?}"
readonly archive=${ARGUS_ARCHIVE:-} keys=${ARGUS_KEYS:-} rebuild=${ARGUS_REBUILD:-}

say() { printf '%s: %s\n' "$ARGUS_IMAGE" "$*" >&2; }

# shellcheck source=components/registries.sh
source "${BASH_SOURCE[0]%/*}/registries.sh"
# shellcheck source=components/signatures.sh
source "${BASH_SOURCE[0]%/*}/signatures.sh"

# Ends the script if the registry has the image. If it cannot be asked (with a login that podman or docker keeps), the push
# decides; if it refuses what the stack gives for it, nothing is built.
done_if_pushed() {
  local headers digest status=0
  if [[ $archive ]]; then
    [[ ! -e $archive/manifest.json ]] || exit 0
    return 0
  fi
  headers=$(manifest "$ARGUS_IMAGE") || status=$?
  ((status != 2)) || exit 1
  ((status == 0)) || return 0
  digest=$(sed -n 's/^docker-content-digest: *//Ip' <<<"$headers")
  [[ -z $keys || -z $digest ]] || accepted "$digest" || return 0
  print_digest "$digest"
  exit 0
}

# Whether the image with this digest in the registry is signed; one that is, is signed by this computer's key too. One
# that is not is built anew if this computer can sign it; else this ends the script.
accepted() {
  if verified "$keys" "${ARGUS_IMAGE%:*}@$1" "${annotation[@]}"; then
    signed_here "$1"
    return
  fi
  [[ -n ${COSIGN_PRIVATE_KEY:-} ]] || {
    say "the registry's image is not signed, and this computer has no argus:images.signing to build and sign another;" \
      "run pulumi up where that key is, or find out who pushed this one"
    exit 1
  }
  say "the registry's image is not signed, so another is built in its place"
  return 1
}

# Signs the image with this digest, unless it is signed by this computer's key, or this computer has none.
signed_here() {
  local image=${ARGUS_IMAGE%:*}@$1
  [[ -n ${COSIGN_PRIVATE_KEY:-} ]] || return 0
  ARGUS_KEY_own=$(cosign public-key --key env://COSIGN_PRIVATE_KEY) || {
    say "argus:images.signing: the private key cannot be read; is the passphrase that of this key?"
    exit 1
  }
  export ARGUS_KEY_own
  has_signed own "$image" "${annotation[@]}" >/dev/null || sign "$image" "${annotation[@]}" || exit 1
}

print_digest() {
  [[ ${ARGUS_PRINT_DIGEST:-} ]] || return 0
  [[ $1 == sha256:* ]] || {
    say "the registry does not say its digest, which images.requireDigests needs"
    exit 1
  }
  echo "$1"
}

command -v curl >/dev/null || {
  say "install curl, which asks the registry for the image, or set images.overrides"
  exit 1
}
registries='' context=''
trap '[[ ! $registries$context ]] || rm -rf "$registries" "$context"' EXIT
open_registries
if [[ $keys ]]; then
  require_cosign
  # The signature names image and tag, so that a signed image cannot be passed off as another, or as its own next version.
  annotation=(--annotations "argus.dev/image=argus/${ARGUS_IMAGE##*/}")
fi
done_if_pushed

tool=$(command -v podman || command -v docker) || {
  say "install podman (or docker) to build images, or set images.overrides"
  exit 1
}

# One build at a time: Pulumi starts all builds in parallel, and each uses every core.
exec 9>"${TMPDIR:-/tmp}/argus-build-$(id -u).lock"
flock 9
done_if_pushed

context=$(mktemp -d "${TMPDIR:-/tmp}/argus-context.XXXXXX")
while IFS=$'\t' read -r source target; do
  install -D --preserve-timestamps --mode="$([[ -x $source ]] && echo 755 || echo 644)" "$source" "$context/$target"
done

build=(build --platform "$ARGUS_PLATFORM" --network host) push=(push)
if [[ $(basename "$tool") == podman ]]; then
  # Keep layers for the next build; chroot isolation also works inside a container.
  build+=(--layers --isolation chroot --format docker)
  # zstd decompresses several times faster than gzip.
  push+=(--format oci --compression-format zstd --digestfile "$context/.digest")
  mapfile -t base_options < <(podman_options "$ARGUS_BASE")
  mapfile -t push_options < <(podman_options "$ARGUS_IMAGE")
else
  base_options=() push_options=()
  docker_knows "$ARGUS_BASE" && docker_knows "$ARGUS_IMAGE" || exit 1
fi

base=$ARGUS_BASE
if [[ $rebuild ]]; then
  # A base with another label has other layers on it, so they are built once for each word.
  base=localhost/argus-base:$(printf '%s\n' "$ARGUS_BASE" "$ARGUS_PLATFORM" "$rebuild" | sha256sum | cut -c 1-12)
  if ! "$tool" image inspect "$base" >/dev/null 2>&1; then
    say "fetching $ARGUS_BASE"
    with_login "$ARGUS_BASE" "$tool" pull --platform "$ARGUS_PLATFORM" "${base_options[@]}" "$ARGUS_BASE" >&2
    # shellcheck disable=SC2016
    echo 'ARG BASE'$'\n''FROM ${BASE}' >"$context/.base"
    "$tool" "${build[@]}" --tag "$base" --label "argus.dev/rebuild=$rebuild" --build-arg "BASE=$ARGUS_BASE" \
      --file "$context/.base" "$context" >&2
  fi
fi
say "building"
with_login "$ARGUS_BASE" "$tool" "${build[@]}" "${base_options[@]}" --tag "$ARGUS_IMAGE" --build-arg "BASE=$base" \
  --file "$context/$ARGUS_DOCKERFILE" "$context" >&2
if [[ $archive ]]; then
  say "writing to $archive"
  rm -rf "$archive.new"
  if [[ $(basename "$tool") == podman ]]; then
    "$tool" "${push[@]}" "$ARGUS_IMAGE" "dir:$archive.new" >&2
  else
    skopeo copy "docker-daemon:$ARGUS_IMAGE" "dir:$archive.new" >&2
  fi
  mv "$archive.new" "$archive"
  exit 0
fi
say "pushing"
with_login "$ARGUS_IMAGE" "$tool" "${push[@]}" "${push_options[@]}" "$ARGUS_IMAGE" >&2
if [[ ${ARGUS_PRINT_DIGEST:-} ]]; then
  # docker has no file for it.
  [[ -e $context/.digest ]] ||
    "$tool" image inspect --format '{{index .RepoDigests 0}}' "$ARGUS_IMAGE" | sed 's/.*@//' >"$context/.digest"
  digest=$(<"$context/.digest")
  if [[ $keys ]]; then
    say "signing"
    signed_here "$digest"
    verified "$keys" "${ARGUS_IMAGE%:*}@$digest" "${annotation[@]}" || {
      say "was signed, but by no key of argus:images.signers for it; add the public half of argus:images.signing's key" \
        "there (cosign public-key --key FILE)"
      exit 1
    }
  fi
  print_digest "$digest"
fi
