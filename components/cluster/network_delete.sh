#!/usr/bin/env bash
# Takes away the routes, the rules, the CNI configuration and the pods' links.
systemctl disable -q --now argus-network.service 2>/dev/null || true
restore /etc/systemd/system/argus-network.service /usr/local/lib/argus/network /etc/argus/routes /etc/argus/masquerade
restore /etc/cni/net.d/10-argus.conflist
rmdir --ignore-fail-on-non-empty /etc/argus /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
rm -rf /var/lib/cni/networks/argus
