#!/usr/bin/env bash
# Takes away what the pods of a network by manifest put among the plugins and their configuration; container_runtime.sh
# noted what was there before. Links and rules of theirs that kubeadm's reset leaves go with the next boot.
if [[ -e $STATE/plugins ]]; then
  while read -r file; do rm -f "$file"; done < <(
    find /etc/cni/net.d /opt/cni/bin \( -type f -o -type l \) 2>/dev/null | LC_ALL=C sort | LC_ALL=C comm -13 "$STATE/plugins" -
  )
  rmdir --ignore-fail-on-non-empty /opt/cni/bin /opt/cni 2>/dev/null || true
fi
