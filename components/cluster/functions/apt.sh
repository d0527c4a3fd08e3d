#!/usr/bin/env bash
# Debian packages.

# apt_get ARGUMENTS: runs apt-get without questions, and without needrestart, which on Ubuntu 24.04 would restart services of
# the machine's owner. While another process holds its lock or dpkg's, as unattended-upgrades does on a machine in its first
# minutes, waits up to 15 minutes and says for which process.
apt_get() {
  local deadline=$((SECONDS + 900)) holder='' busy said
  said=$(mktemp)
  until LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq "$@" >/dev/null 2>"$said"; do
    busy=$(grep -m 1 -E 'Could not get lock|Unable to (acquire|lock)|was locked by another process' "$said") || {
      cat "$said" >&2
      rm -f "$said"
      die "apt-get $1 failed: see above"
    }
    if [[ $busy != "$holder" ]]; then say "waiting for another process's packages: ${busy#E: }"; fi
    holder=$busy
    ((SECONDS < deadline)) || die "apt-get $1 cannot begin, because another process does not end within 15 minutes:" \
      "${busy#E: }. End it, or wait for it, then run \`pulumi up\` again"
    sleep 3
  done
  cat "$said" >&2
  rm -f "$said"
}
