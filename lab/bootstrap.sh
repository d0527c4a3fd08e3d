#!/usr/bin/env bash
# Prepares a Debian host for the lab: its packages, and the virtual environment that everything else runs in.
# Does nothing where nothing is missing. Needs only a Python 3.11 or newer, from Debian or from elsewhere (pyenv).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ARGUS_CACHE:-$HOME/.cache/argus}

# A name after `=` is the program that makes the package unnecessary, whoever installed it.
packages=(
    ca-certificates iproute2 iptables jq openssh-client openssh-server procps zstd
    podman buildah runc netavark debootstrap debian-archive-keyring docker-registry ffmpeg
    chromium=chromium chromium-driver=chromedriver default-jre-headless=java
)

say() { printf 'bootstrap: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

missing_packages() {
    local entry name program
    for entry in "${packages[@]}"; do
        name=${entry%%=*} program=${entry#*=}
        if [[ $entry == *=* ]] && command -v "$program" >/dev/null; then continue; fi
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

# Installs without starting any service: the lab runs its own registry, on its own address.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    [[ $EUID -eq 0 ]] || fail "these Debian packages are missing: $*; run this once as root"
    say "installing $# Debian packages: $*"
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2064  # the path of now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
    fi
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$@" >/dev/null
    if [[ -d /run/systemd/system ]]; then
        # Only those that came with this run: a host that served SSH before goes on doing so.
        if [[ " $* " == *" docker-registry "* ]]; then systemctl disable --quiet docker-registry.service; fi
        if [[ " $* " == *" openssh-server "* ]]; then systemctl disable --quiet ssh.service; fi
    fi
}

ensure_packages() {
    local missing
    command -v apt-get >/dev/null || fail "this host is not a Debian: the lab needs apt-get; real hosts need no lab"
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
}

# A module of the standard library that Debian packs by itself.
ensure_python() {
    command -v python3 >/dev/null || fail "Python is missing: apt-get install python3 python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old: put a Python 3.11 or newer first on PATH"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then install_packages python3-venv; fi
}

ensure_go() {
    command -v go >/dev/null ||
        fail "Go is missing: install Go 1.26 or newer from https://go.dev/dl and put it on PATH (or run with PATH=/usr/local/go/bin:\$PATH)"
}

ensure_venv() {
    local key venv
    key=$(cd "$root" && { python3 -c 'import sys; print(sys.version, sys.base_prefix)' && cat requirements*.txt; } | sha256sum | cut -c1-16)
    venv=$cache/venv/$key
    if [[ -e $root/.venv && ! -L $root/.venv ]]; then fail "$root/.venv is in the way: it must be a link into $cache"; fi
    mkdir -p "$cache/venv"
    exec 9>"$cache/venv/.lock"
    flock 9
    if [[ ! -e $venv/.complete ]]; then
        say "installing the Python packages into $venv (a few minutes the first time)"
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check \
            --requirement "$root/requirements.txt" --requirement "$root/requirements-dev.txt"
        touch "$venv/.complete"
    fi
    exec 9>&-
    ln -sfn "$venv" "$root/.venv"
}

ensure_packages
ensure_python
ensure_go
ensure_venv
