#!/usr/bin/env bash
# Removes routes and rules. node_delete.sh removes the CNI configuration, which is needed until the last pod is gone.
open_pods
systemctl disable -q --now argus-network.service 2>/dev/null || true
restore /etc/systemd/system/argus-network.service /usr/local/lib/argus/network /etc/argus/routes /etc/argus/masquerade /etc/argus/guard
rmdir --ignore-fail-on-non-empty /etc/argus /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
