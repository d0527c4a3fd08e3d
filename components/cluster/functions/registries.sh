#!/usr/bin/env bash
# What containerd knows of registries. It reads these files at each pull, so no change of them restarts it.

# put_registries: writes what REGISTRIES has, a line for each registry: its folder's name, and the base64 of its hosts.toml
# and, if it has one, of its authority; takes back what an earlier run wrote for others.
put_registries() {
  local changed=$CHANGED certs=/etc/containerd/certs.d name file authority
  forget_registries "$REGISTRIES"
  while IFS=$'\t' read -r name file authority; do
    [[ $name ]] || continue
    put "$certs/$name/hosts.toml" 0644 < <(base64 -d <<<"$file")
    if [[ $authority ]]; then
      put "$certs/$name/ca.crt" 0644 < <(base64 -d <<<"$authority")
    else
      restore "$certs/$name/ca.crt"
    fi
  done <<<"$REGISTRIES"
  CHANGED=$changed
}

# forget_registries LINES: takes back what put_registries wrote, but for the registries of these lines.
forget_registries() {
  local certs=/etc/containerd/certs.d kept name
  for kept in "$STATE/before$certs"/*/; do
    name=$(basename "$kept")
    if [[ ! -d $kept || $'\n'$1 == *$'\n'"$name"$'\t'* ]]; then continue; fi
    restore "$certs/$name/hosts.toml" "$certs/$name/ca.crt"
    rmdir --ignore-fail-on-non-empty "$certs/$name" "$kept" 2>/dev/null || true
  done
}
