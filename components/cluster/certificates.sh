#!/usr/bin/env bash
# Installs a daily timer that renews this control plane's certificates when the first one is due.
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
systemctl start --no-block argus-certificates.service # writes the metric now, not at the next daily run
