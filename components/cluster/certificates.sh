#!/usr/bin/env bash
# Keeps this control plane's certificates from expiring: every day a timer looks, and renews them when the first is due.
: "${DAYS:?}" "${RENEW:?}"

put /usr/local/lib/argus/renew-certificates 0755 <<<"$RENEW"
put /etc/systemd/system/argus-certificates.service 0644 <<FILE
[Unit]
Description=Renewal of the control plane's certificates, $DAYS days before they expire

[Service]
Type=oneshot
ExecStart=/usr/local/lib/argus/renew-certificates $DAYS
FILE
put /etc/systemd/system/argus-certificates.timer 0644 <<'FILE'
[Unit]
Description=Daily look at the control plane's certificates

[Timer]
OnCalendar=daily
# Not on all control planes at once.
RandomizedDelaySec=12h
Persistent=true

[Install]
WantedBy=timers.target
FILE
systemctl daemon-reload
systemctl enable -q --now argus-certificates.timer
systemctl start --no-block argus-certificates.service # for its metric, today
