#!/usr/bin/env bash
# Removes the CNI plugins, configuration and address records that the pods of a manifest's network added since
# container_runtime.sh recorded the existing files. Links and rules that `kubeadm reset` leaves disappear at the next boot.
if [[ -e $STATE/plugins ]]; then
  while read -r file; do rm -f "$file"; done < <(
    find /etc/cni/net.d /opt/cni/bin /var/lib/cni \( -type f -o -type l \) 2>/dev/null | LC_ALL=C sort |
      LC_ALL=C comm -13 "$STATE/plugins" -
  )
  find /var/lib/cni -mindepth 1 -type d -empty -delete 2>/dev/null || true
  rmdir --ignore-fail-on-non-empty /opt/cni/bin /opt/cni /var/lib/cni 2>/dev/null || true
fi
