#!/usr/bin/env bash
# Configures the pods' network on one machine: a routed link for each pod, a route to every other node's pods, and
# masquerading for traffic that leaves the cluster. A oneshot unit restores routes and rules after a reboot.
: "${NAME:?}" "${POD_NETWORK:?}" "${CNI:?}"

# Standard input: `node address podCIDR` of every node, one per line.
protocol=82 # marks Argus's routes in the kernel's table
own='' routes=''
while read -r node address network || [[ $node ]]; do
  if [[ $node == "$NAME" ]]; then
    own=$network
  else
    routes+="route replace $network via $address proto $protocol"$'\n'
  fi
done
[[ $own ]] || die "$NAME has no pod network"

put /etc/argus/routes 0644 <<<"${routes%$'\n'}"
# iptables, not nft, because the nft of Debian 12 crashes on tables that a newer nft (kube-proxy's) has made.
put /etc/argus/masquerade 0644 <<FILE
*nat
:ARGUS-POSTROUTING - [0:0]
-A ARGUS-POSTROUTING -s $own ! -d $POD_NETWORK -j MASQUERADE --random-fully
COMMIT
FILE
put /usr/local/lib/argus/network 0755 <<FILE
#!/bin/sh
# Sets the routes and rules of the pods' network; argus-network.service runs it.
set -eu
ip -batch /etc/argus/routes
iptables-restore --wait --noflush /etc/argus/masquerade
iptables --wait -t nat -C POSTROUTING -j ARGUS-POSTROUTING 2>/dev/null ||
  iptables --wait -t nat -A POSTROUTING -j ARGUS-POSTROUTING
FILE
put /etc/systemd/system/argus-network.service 0644 <<FILE
[Unit]
Description=Routes to the pods of the other nodes
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/argus/network
ExecReload=/usr/local/lib/argus/network
ExecStop=-/usr/sbin/ip -4 route flush proto $protocol
ExecStop=-/usr/sbin/iptables --wait -t nat -D POSTROUTING -j ARGUS-POSTROUTING
ExecStop=-/usr/sbin/iptables --wait -t nat -F ARGUS-POSTROUTING
ExecStop=-/usr/sbin/iptables --wait -t nat -X ARGUS-POSTROUTING

[Install]
WantedBy=multi-user.target
FILE
systemctl daemon-reload
systemctl enable -q argus-network.service
if systemctl is-active -q argus-network.service; then
  systemctl reload argus-network.service
else
  systemctl start argus-network.service
fi
ip -4 route show proto "$protocol" | while read -r network _; do
  grep -qF " $network via " /etc/argus/routes || ip route delete "$network" proto "$protocol"
done

# Written last, because the kubelet reports the node Ready once this file exists.
put /etc/cni/net.d/10-argus.conflist 0600 <<<"${CNI//@NETWORK@/$own}"
