#!/usr/bin/env bash
# Builds one image of containers/ from exactly the listed paths and pushes it, unless the registry has it already.
# usage, from the repository: build_image.sh NAME REFERENCE INSECURE(true|false) [--weights MODEL=PATH]... PATH...
set -euo pipefail

name=$1 reference=$2 insecure=$3
shift 3

if [[ $insecure == true ]]; then scheme=http tls_verify=false; else scheme=https tls_verify=true; fi
repository=${reference%:*} tag=${reference##*:}
manifest="$scheme://${repository%%/*}/v2/${repository#*/}/manifests/$tag"
accept='application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'

# A registry that asks for a login answers 401 here: then the image is built, from cached layers, and pushed.
if curl --silent --fail --head --noproxy '*' --max-time 20 --header "Accept: $accept" --output /dev/null "$manifest"; then
    echo "$reference is in the registry"
    exit
fi

engine=$(command -v podman || command -v docker) || {
    echo "image $name: neither podman nor docker is installed on this machine; install one, or set images.overrides.$name" >&2
    exit 1
}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
while (($#)); do
    case $1 in
        --weights)
            model=${2%%=*} source=${2#*=}
            mkdir -p "$stage/weights/$model"
            if [[ -d $source ]]; then
                cp -r "$source/." "$stage/weights/$model/"
            else
                python3 -m apps.training.export "$source" "$stage/weights/$model"
            fi
            shift 2
            ;;
        *)
            cp -r --parents "$1" "$stage"
            shift
            ;;
    esac
done
find "$stage" -name __pycache__ -prune -exec rm -rf {} +

# One build at a time: a small machine is faster so, and builds share the layers that they begin with.
exec 9>"${TMPDIR:-/tmp}/argus-build-image.lock"
flock 9

options=(--network host --file "$stage/containers/$name/Dockerfile" --tag "$reference")
# chroot isolation also builds where no nested container may start.
[[ $engine == */podman ]] && options+=(--layers --isolation chroot)
"$engine" build "${options[@]}" "$stage"

if [[ $engine == */podman ]]; then
    "$engine" push --tls-verify="$tls_verify" "$reference"
else
    "$engine" push "$reference"
fi
