#!/usr/bin/env bash
# Writes the lock beside each list of Python packages: every package that the list leads to, with the SHA-256 of each of
# its files. Only locks are installed from. A lock keeps the versions that it has; `lock.sh --upgrade` takes the newest
# ones that the list allows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${ARGUS_UV:-.venv/bin/uv}

# lock LIST PYTHON OPTION...: PYTHON is the oldest version that installs the list.
lock() {
    local list=$1 python=$2
    shift 2
    "$uv" pip compile --quiet --no-progress --universal --python-version "$python" --generate-hashes --no-header \
        --no-annotate --output-file "${list%.txt}.lock" "$@" "$list"
    echo "${list%.txt}.lock"
}

for list in requirements{,-build,-dev}.txt {apps/training/nanodet,tests/models}/requirements.txt; do
    lock "$list" 3.11 "$@"
done
# Images have Debian's Python.
for list in containers/{acme,consumer,producer,spark,ui}/requirements.txt containers/spark/{build,training}.txt; do
    lock "$list" 3.13 "$@"
done
lock containers/spark/pyspark.txt 3.13 --no-deps "$@"
