#!/usr/bin/env bash
# Installs a timer that grants the kubelets' requests for serving certificates. A kubelet asks weeks before its certificate
# expires, and again until it is granted, so the interval may be long.
: "${GRANT:?}"

put /usr/local/lib/argus/grant-kubelets 0755 <<<"$GRANT"
put /etc/systemd/system/argus-kubelets.service 0644 <<'FILE'
[Unit]
Description=Serving certificates for the kubelets that ask for one

[Service]
Type=oneshot
ExecStart=/usr/local/lib/argus/grant-kubelets
FILE
put /etc/systemd/system/argus-kubelets.timer 0644 <<'FILE'
[Unit]
Description=Regular look for kubelets that ask for a serving certificate

[Timer]
OnCalendar=*:0/10
RandomizedDelaySec=1min

[Install]
WantedBy=timers.target
FILE
systemctl daemon-reload
systemctl enable -q --now argus-kubelets.timer
