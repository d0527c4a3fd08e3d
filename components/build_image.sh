#!/usr/bin/env bash
# Builds ARGUS_IMAGE and pushes it, unless its registry has it already; the tag is a hash of the content.
# stdin: the build context, one file per line: `SOURCE<tab>PATH IN THE CONTEXT`.
# ARGUS_DOCKERFILE: path in the context. ARGUS_REGISTRY_INSECURE: not empty if the registry uses plain http.
set -euo pipefail

: "${ARGUS_IMAGE:?}" "${ARGUS_DOCKERFILE:?}"
readonly insecure=${ARGUS_REGISTRY_INSECURE:-}

say() { printf '%s: %s\n' "$ARGUS_IMAGE" "$*" >&2; }

# Whether the registry has this tag. If it cannot be asked (a login is needed), the answer is no, and the push decides.
pushed() {
  local registry=${ARGUS_IMAGE%%/*} path tag scheme=https
  path=${ARGUS_IMAGE#*/}
  tag=${path##*:}
  path=${path%:*}
  [[ -z $insecure ]] || scheme=http
  curl --silent --fail --output /dev/null --head --max-time 20 \
    --header 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
    "$scheme://$registry/v2/$path/manifests/$tag"
}

command -v curl >/dev/null || {
  say "install curl, which asks the registry for the image, or set images.overrides"
  exit 1
}
if pushed; then exit 0; fi

tool=$(command -v podman || command -v docker) || {
  say "install podman (or docker) to build images, or set images.overrides"
  exit 1
}

# One build at a time: Pulumi starts all builds in parallel, and each uses every core.
exec 9>"${TMPDIR:-/tmp}/argus-build-$(id -u).lock"
flock 9
if pushed; then exit 0; fi

context=$(mktemp -d "${TMPDIR:-/tmp}/argus-context.XXXXXX")
trap 'rm -rf "$context"' EXIT
while IFS=$'\t' read -r source target; do
  install -D --preserve-timestamps --mode="$([[ -x $source ]] && echo 755 || echo 644)" "$source" "$context/$target"
done

say "building"
build=(build --tag "$ARGUS_IMAGE" --file "$context/$ARGUS_DOCKERFILE" --network host)
push=(push)
if [[ $(basename "$tool") == podman ]]; then
  # Keep layers for the next build; chroot isolation also works inside a container.
  build+=(--layers --isolation chroot --format docker)
  # zstd decompresses several times faster than gzip.
  push+=(--format oci --compression-format zstd)
  [[ -z $insecure ]] || push+=(--tls-verify=false)
fi
"$tool" "${build[@]}" "$context" >&2
say "pushing"
"$tool" "${push[@]}" "$ARGUS_IMAGE" >&2
