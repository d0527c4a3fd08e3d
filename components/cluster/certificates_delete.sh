#!/usr/bin/env bash
# Removes the timer and its program; the certificates are removed with the node.
systemctl disable -q --now argus-certificates.timer 2>/dev/null || true
systemctl stop argus-certificates.service 2>/dev/null || true
restore /etc/systemd/system/argus-certificates.{timer,service} /usr/local/lib/argus/renew-certificates
rm -f /var/lib/prometheus/node-exporter/argus-certificates.prom
rmdir --ignore-fail-on-non-empty /var/lib/prometheus/node-exporter /var/lib/prometheus 2>/dev/null || true
rm -f /var/lib/systemd/timers/stamp-argus-certificates.timer
rmdir --ignore-fail-on-non-empty /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
