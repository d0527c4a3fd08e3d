#!/usr/bin/env bash
# Changes to a machine's files and services. The originals are kept under $STATE, so that `pulumi destroy` can restore them.

# put PATH MODE <content: writes a file if it differs, then sets CHANGED=true; keeps the original file.
put() {
  local path=$1 mode=$2 new
  new=$(mktemp)
  cat >"$new"
  if ! cmp -s "$new" "$path"; then
    remember "$path"
    install -D -m "$mode" "$new" "$path"
    # shellcheck disable=SC2034
    CHANGED=true
  fi
  rm -f "$new"
}

# remember PATH: keeps the file from before Argus, or records that there was none; does nothing the second time.
remember() {
  local kept=$STATE/before$1
  if [[ ! -e $kept && ! -e $kept.absent ]]; then
    mkdir -p "$(dirname "$kept")"
    if [[ -e $1 ]]; then cp -a "$1" "$kept"; else touch "$kept.absent"; fi
  fi
}

# restore PATH...: undoes `put`; a file that `put` did not write stays as it is.
restore() {
  local path kept
  for path in "$@"; do
    kept=$STATE/before$path
    if [[ -e $kept ]]; then
      cp -a "$kept" "$path"
    elif [[ -e $kept.absent ]]; then
      rm -f "$path"
    fi
    rm -f "$kept" "$kept.absent"
  done
}

# drop_in UNIT NAME TEXT: writes a file of Argus's beside a service's own, or takes it away where TEXT is empty; sets
# CHANGED=true if there was something to do.
drop_in() {
  local path=/etc/systemd/system/$1.d/90-argus-$2.conf
  if [[ $3 ]]; then
    put "$path" 0644 <<<"$3"
  elif [[ -e $STATE/before$path || -e $STATE/before$path.absent ]]; then
    restore_drop_in "$1" "$2"
    # shellcheck disable=SC2034
    CHANGED=true
  fi
}

# restore_drop_in UNIT NAME: undoes `drop_in`.
restore_drop_in() {
  restore "/etc/systemd/system/$1.d/90-argus-$2.conf"
  rmdir --ignore-fail-on-non-empty "/etc/systemd/system/$1.d" 2>/dev/null || true
}

# remember_unit UNIT, restore_unit UNIT: record and restore whether a service was enabled and running before Argus.
remember_unit() {
  local kept=$STATE/before/units/$1
  if [[ ! -e $kept ]]; then
    mkdir -p "${kept%/*}"
    { systemctl is-enabled "$1" || true; systemctl is-active "$1" || true; } >"$kept" 2>/dev/null
  fi
}
restore_unit() {
  local kept=$STATE/before/units/$1
  [[ -e $kept ]] || return 0
  if grep -qx enabled "$kept"; then systemctl enable -q "$1"; else systemctl disable -q "$1"; fi
  if grep -qx active "$kept"; then systemctl restart "$1"; else systemctl stop "$1"; fi
  rm -f "$kept"
}
