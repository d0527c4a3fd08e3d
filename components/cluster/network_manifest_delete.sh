#!/usr/bin/env bash
# Takes away what the pods of a network by manifest put among the plugins and their configuration, and the addresses that
# its plugins noted; container_runtime.sh noted what was there before. Links and rules of theirs that kubeadm's reset leaves
# go with the next boot.
if [[ -e $STATE/plugins ]]; then
  while read -r file; do rm -f "$file"; done < <(
    find /etc/cni/net.d /opt/cni/bin /var/lib/cni \( -type f -o -type l \) 2>/dev/null | LC_ALL=C sort |
      LC_ALL=C comm -13 "$STATE/plugins" -
  )
  find /var/lib/cni -mindepth 1 -type d -empty -delete 2>/dev/null || true
  rmdir --ignore-fail-on-non-empty /opt/cni/bin /opt/cni /var/lib/cni 2>/dev/null || true
fi
