#!/usr/bin/env bash
# Takes away the routes and the rules. The CNI configuration goes with the node: its last pods are unlinked by it.
systemctl disable -q --now argus-network.service 2>/dev/null || true
restore /etc/systemd/system/argus-network.service /usr/local/lib/argus/network /etc/argus/routes /etc/argus/masquerade
rmdir --ignore-fail-on-non-empty /etc/argus /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
