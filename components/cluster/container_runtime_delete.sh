#!/usr/bin/env bash
# Stops all containers, removes the images, and restores containerd's original configuration.
mapfile -t tasks < <(ctr --namespace k8s.io tasks list -q 2>/dev/null || true)
for task in "${tasks[@]}"; do ctr --namespace k8s.io tasks delete --force "$task" >/dev/null 2>&1 || true; done
mapfile -t containers < <(ctr --namespace k8s.io containers list -q 2>/dev/null || true)
for container in "${containers[@]}"; do ctr --namespace k8s.io containers delete "$container" >/dev/null 2>&1 || true; done
mapfile -t images < <(ctr --namespace k8s.io images list -q 2>/dev/null || true)
((${#images[@]} == 0)) || ctr --namespace k8s.io images remove --sync "${images[@]}" >/dev/null 2>&1 || true
restore /etc/containerd/config.toml
forget_registries ''
rmdir --ignore-fail-on-non-empty -p /etc/containerd/certs.d 2>/dev/null || true
restore_drop_in containerd.service proxy
restore_drop_in containerd.service processors
systemctl daemon-reload
restore_unit containerd.service
