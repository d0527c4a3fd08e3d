#!/usr/bin/env bash
# Removes the timer and its program; the certificates are removed with the node.
systemctl disable -q --now argus-kubelets.timer 2>/dev/null || true
systemctl stop argus-kubelets.service 2>/dev/null || true
restore /etc/systemd/system/argus-kubelets.{timer,service} /usr/local/lib/argus/grant-kubelets
rmdir --ignore-fail-on-non-empty /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
