#!/usr/bin/env bash
# Makes the default detector's weights in a separate, cached virtual environment, because nothing else needs NNCF. Takes
# the arguments of `python -m apps.training.nanodet`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
cache=${ARGUS_CACHE:-$HOME/.cache/argus}/venv

key=$({ python3 -c 'import sys; print(sys.version, sys.base_prefix)' && cat "$here/requirements.lock"; } | sha256sum | cut -c1-16)
venv=$cache/$key
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [[ ! -e $venv/.complete ]]; then
    echo "weights: installing NNCF and OpenVINO into $venv (a few minutes the first time)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        --requirement "$here/requirements.lock"
    touch "$venv/.complete"
fi
exec 9>&-
cd "$root"
exec "$venv/bin/python" -m apps.training.nanodet "$@"
