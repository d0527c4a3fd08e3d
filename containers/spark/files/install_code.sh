#!/bin/bash
# Build step: copies every folder FROM/<model> of a user's code to TO/<model>, installs its requirements.txt into
# .packages there, and constructs its model once. A failure ends the build with the model's name in the last line.
set -euo pipefail

readonly from=$1 to=$2
readonly venv=${ARGUS_VENV:-/opt/venv} context=${from%/*}

fail() {
    printf 'models.%s.code: %s\n' "$1" "$2" >&2
    exit 1
}

# Installs only packages that Argus's own environment lacks, so there is no second NumPy unless the user requires
# another version, which only this model then uses.
install() {
    local model=$1 environment own
    environment=$(mktemp -d)
    python3 -m venv "$environment"
    own=$("$environment/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    "$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])' >"$own/argus.pth"
    "$environment/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --prefer-binary \
        --requirement "$to/$model/requirements.txt" \
        || fail "$model" "the packages of requirements.txt cannot be installed, pip says why above"
    "$environment/bin/pip" uninstall --quiet --yes --disable-pip-version-check pip
    rm -f "$own/argus.pth"
    mv "$own" "$to/$model/.packages"
    rm -rf "$environment"
}

check() {
    local model=$1 said
    if ! said=$(PYTHONPATH=$context PYTHONDONTWRITEBYTECODE=1 timeout 300 \
        "$venv/bin/python" -P -m apps.model_api "$to/$model" 2>&1 </dev/null); then
        printf '%s\n' "$said" >&2
        fail "$model" "${said##*$'\n'}"
    fi
    printf '%s\n' "$said"
}

mkdir -p "$to"
[[ -d $from ]] || exit 0
for folder in "$from"/*/; do
    model=$(basename "$folder")
    cp -r "$folder" "$to/$model"
    if [[ -f $to/$model/requirements.txt ]]; then install "$model"; fi
    check "$model"
done
