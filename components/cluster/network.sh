#!/usr/bin/env bash
# The pods' network on one machine: a routed link for each pod, a route to every other node's pods, and the machine's own
# address for what leaves the cluster. A oneshot unit sets routes and rules again after a reboot.
: "${NAME:?}" "${POD_NETWORK:?}" "${CNI:?}"

# On standard input: `node address podCIDR` of every node.
protocol=82 # marks Argus's routes in the kernel's table
own='' routes=''
while read -r node address network; do
  if [[ $node == "$NAME" ]]; then
    own=$network
  else
    routes+="route replace $network via $address proto $protocol"$'\n'
  fi
done
[[ $own ]] || die "$NAME has no pod network"

put /etc/argus/routes 0644 <<<"${routes%$'\n'}"
put /etc/argus/masquerade.nft 0644 <<FILE
table ip argus
delete table ip argus
table ip argus {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr $own ip daddr != $POD_NETWORK masquerade
  }
}
FILE
put /etc/systemd/system/argus-network.service 0644 <<FILE
[Unit]
Description=Routes to the pods of the other nodes
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip -batch /etc/argus/routes
ExecStart=/usr/sbin/nft -f /etc/argus/masquerade.nft
ExecReload=/usr/sbin/ip -batch /etc/argus/routes
ExecReload=/usr/sbin/nft -f /etc/argus/masquerade.nft
ExecStop=-/usr/sbin/ip -4 route flush proto $protocol
ExecStop=-/usr/sbin/nft delete table ip argus

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

# Last: the kubelet calls the node ready when this file is there.
put /etc/cni/net.d/10-argus.conflist 0644 <<<"${CNI//@NETWORK@/$own}"
