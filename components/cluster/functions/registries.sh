#!/usr/bin/env bash
# What containerd knows of registries. It reads these files at each pull, so no change of them restarts it.

# put_registries: writes the files of REGISTRIES, a line for each: its path below certs.d, and its content in base64; takes
# back those that an earlier run wrote and that are not among them.
put_registries() {
  local changed=$CHANGED path content
  forget_registries "$REGISTRIES"
  while read -r path content; do
    [[ ! $path ]] || put "/etc/containerd/certs.d/$path" 0644 < <(base64 -d <<<"$content")
  done <<<"$REGISTRIES"
  CHANGED=$changed
}

# forget_registries LINES: takes back what put_registries wrote, but for the files of these lines.
forget_registries() {
  local certs=/etc/containerd/certs.d kept path
  while IFS= read -r kept; do
    path=${kept#"$STATE/before$certs/"}
    path=${path%.absent}
    if [[ $'\n'$1 == *$'\n'"$path "* ]]; then continue; fi
    restore "$certs/$path"
    rmdir --ignore-fail-on-non-empty "$(dirname "$certs/$path")" "$(dirname "$kept")" 2>/dev/null || true
  done < <(find "$STATE/before$certs" -type f 2>/dev/null)
}
