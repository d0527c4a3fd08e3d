#!/usr/bin/env bash
# Encrypted volumes (LUKS2), and the machine's key of them. Its file has the key's name and the Tang servers that seal it in its
# first line; then the key, or for each of these servers a line that it helps to open.

# is_encrypted FILE: whether a volume's file is encrypted.
is_encrypted() { head -c 4 "$1" | grep -q LUKS; }

# mapping NAME: what the device mapper calls an open volume. LVM has a hyphen in each of its names (VG-LV), so none is like it.
mapping() { echo "argus.volume.${1//-/.}"; }

# with_key KEY ACTION ARGUMENTS...: runs cryptsetup with a key, which no other process sees.
with_key() {
  local key=$1 action=$2
  shift 2
  LC_ALL=C cryptsetup "$action" --batch-mode --key-file <(printf %s "$key") "$@" </dev/null
}

# key_in FILE: prints the key; fails where it is sealed and no Tang server answers. clevis itself waits for minutes for one that
# is silent.
key_in() {
  local servers text
  {
    read -r _ servers
    while read -r text; do
      if [[ ! $servers ]]; then
        printf %s "$text" && return
      elif printf %s "$text" | timeout 20 clevis decrypt 2>/dev/null; then
        return
      fi
    done
  } <"$1"
  return 1
}
