#!/usr/bin/env bash
# Prepares a Debian host for the lab: installs packages, Go, and the virtual environment that everything else runs in.
# Does nothing if nothing is missing. Python 3.11 or newer may come from Debian or from elsewhere (pyenv).
# The installers' output goes to logs: each step prints one line with its time, and a long one its progress every minute.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ARGUS_CACHE:-$HOME/.cache/argus}
logs=$cache/logs
heartbeat_seconds=60
shown_lines=20
lock_seconds=900
# Unix time (seconds) at which the command began; `make up` sets it for all its programs.
began=${ARGUS_BEGAN:-$EPOCHREALTIME}

# The name after `=` is a program that makes the package unnecessary if it is already installed.
packages=(
    age ca-certificates curl iproute2 iptables jq openssh-client openssh-server procps zstd
    podman buildah runc netavark debootstrap debian-archive-keyring docker-registry skopeo ffmpeg
    chromium=chromium chromium-driver=chromedriver default-jre-headless=java
)

# Prints the tenths of a second since a time in the format of EPOCHREALTIME.
tenths_since() {
    local now=$EPOCHREALTIME
    echo $(((10#${now//[.,]/} - 10#${1//[.,]/}) / 100000))
}

say() {
    local tenths
    tenths=$(tenths_since "$began")
    printf '[%6s s] %s\n' "$((tenths / 10)).$((tenths % 10))" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# Prints the last line of a log, which a program may be writing.
last_line() {
    tail -c 4096 "$1" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-160 || true
}

# Prints a step's progress every minute, until it is killed or this script ends.
heartbeat() {
    local title=$1 log=$2 start=$SECONDS next=$heartbeat_seconds last
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        if ((SECONDS - start < next)); then continue; fi
        next=$((next + heartbeat_seconds))
        last=$(last_line "$log")
        say "$title: $((SECONDS - start)) s so far, ${last:-no output yet}"
    done
}

# Runs a command with its output in a log: step TITLE LOG REMEDY COMMAND ARGUMENT...
step() {
    local title=$1 log=$2 remedy=$3 start=$EPOCHREALTIME beat status tenths
    shift 3
    mkdir -p "$logs"
    : >"$log"
    heartbeat "$title" "$log" &
    beat=$!
    # Not `command || …`, because `set -e` would have no effect inside the command.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    kill "$beat" 2>/dev/null || true
    wait "$beat" 2>/dev/null || true
    tenths=$(tenths_since "$start")
    if ((status == 0)); then
        say "$title: done in $((tenths / 10)).$((tenths % 10)) s"
        return
    fi
    say "$title: failed after $((tenths / 10)).$((tenths % 10)) s, exit status $status; the end of $log:"
    tail -n "$shown_lines" "$log" >&2
    fail "$remedy; then run it again"
}

missing_packages() {
    local entry name program
    for entry in "${packages[@]}"; do
        name=${entry%%=*} program=${entry#*=}
        if [[ $entry == *=* ]] && command -v "$program" >/dev/null; then continue; fi
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

# apt_get ARGUMENTS: runs apt-get without questions. While another process holds its lock or dpkg's, as unattended-upgrades
# does on a host in its first minutes, waits and says for which process.
apt_get() {
    local deadline=$((SECONDS + lock_seconds)) said busy status
    said=$(mktemp)
    while true; do
        status=0
        LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get "$@" 2>"$said" || status=$?
        if ((status == 0 || SECONDS >= deadline)); then break; fi
        busy=$(grep -m 1 -E 'Could not get lock|Unable to (acquire|lock)|was locked by another process' "$said") || break
        echo "waiting for another process's packages: ${busy#E: }"
        sleep 3
    done
    cat "$said" >&2
    rm -f "$said"
    return "$status"
}

# Installs packages without starting services, because the lab runs its own registry on its own address.
apt_install() {
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2064  # expand the path now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
    fi
    apt_get update --quiet
    apt_get install --yes --quiet --no-install-recommends --option Dpkg::Use-Pty=0 "$@"
    if [[ -d /run/systemd/system ]]; then
        # Disable only services that this run installed: a host that served SSH before keeps doing so.
        if [[ " $* " == *" docker-registry "* ]]; then systemctl disable --quiet docker-registry.service; fi
        if [[ " $* " == *" openssh-server "* ]]; then systemctl disable --quiet ssh.service; fi
    fi
}

# install_packages WHAT PACKAGE...
install_packages() {
    local what=$1
    shift
    command -v apt-get >/dev/null || fail "this host is not a Debian: the lab needs apt-get; real hosts need no lab"
    [[ $EUID -eq 0 ]] || fail "these Debian packages are missing: $*; run this once as root"
    step "$what ($# Debian packages)" "$logs/bootstrap-packages.log" \
        "if Debian's mirror did not answer, see to /etc/apt/sources.list and to the network" apt_install "$@"
}

ensure_packages() {
    local missing
    command -v apt-get >/dev/null || fail "this host is not a Debian: the lab needs apt-get; real hosts need no lab"
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]})); then install_packages "what the lab runs on" "${missing[@]}"; fi
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Prints the python3 on PATH if it is new enough, else Debian's; nothing if neither is.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}

# Sets `python`; installs Debian's if none is new enough.
ensure_python() {
    python=$(find_python)
    if [[ -z $python ]]; then
        install_packages Python python3 python3-venv
        python=$(find_python)
    fi
    [[ -n $python ]] ||
        fail "Debian's $(/usr/bin/python3 --version) is too old: put a Python 3.11 or newer first on PATH, or take Debian 12"
    # Debian has this part of the standard library in a separate package.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then install_packages "Python's venv" python3-venv; fi
}

make_venv() {
    rm -rf "$1"
    "$python" -m venv "$1"
    # Log one line per package instead of progress bars.
    local install=("$1/bin/pip" install --disable-pip-version-check --no-input --progress-bar off --require-hashes)
    # Packages without a wheel are built with these, and not with what pip would fetch for it without looking at hashes.
    "${install[@]}" --requirement "$root/requirements-build.lock"
    "${install[@]}" --no-build-isolation --requirement "$root/requirements-dev.lock"
    touch "$1/.complete"
}

ensure_venv() {
    local key venv
    key=$(cd "$root" && { "$python" -c 'import sys; print(sys.version, sys.base_prefix)' && cat requirements*.lock; } | sha256sum | cut -c1-16)
    venv=$cache/venv/$key
    if [[ -e $root/.venv && ! -L $root/.venv ]]; then fail "$root/.venv is in the way: it must be a link into $cache"; fi
    mkdir -p "$cache/venv"
    exec 9>"$cache/venv/.lock"
    flock --nonblock 9 || { say "waiting for another bootstrap" && flock 9; }
    if [[ ! -e $venv/.complete ]]; then
        step "Python packages" "$logs/bootstrap-venv.log" \
            "if the Python package index did not answer, see to pip's configuration (pip config list) and to the network" \
            make_venv "$venv"
    fi
    exec 9>&-
    ln -sfn "$venv" "$root/.venv"
}

# The lab itself shows the progress, and the remedy if no Go can be downloaded.
ensure_go() { (cd "$root" && .venv/bin/python -m lab go >/dev/null); }

main() {
    ensure_packages
    ensure_python
    ensure_venv
    ensure_go
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; fi
