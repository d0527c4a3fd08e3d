#!/usr/bin/env bash
# Configures the pods' network on one machine: a routed link for each pod, a route to every other node's pods, masquerading
# for traffic that leaves the cluster, and a guard against what comes from outside it. A oneshot unit restores routes and
# rules after a reboot.
: "${NAME:?}" "${POD_NETWORK:?}" "${SERVICE_NETWORK:?}" "${ENDPOINT:?}" "${PAGE_PORT:?}" "${CNI:?}" "${POLICIES:?}"

# Standard input: `node address podCIDR` of every node, one per line.
protocol=82 # marks Argus's routes in the kernel's table
own='' own_address='' others=() routes='' known=''
while read -r node address network || [[ $node ]]; do
  if [[ $node == "$NAME" ]]; then
    own=$network own_address=$address
  else
    others+=("$address")
    routes+="route replace $network via $address proto $protocol"$'\n'
    known+="-A ARGUS-PREROUTING -s $address -j RETURN"$'\n'"-A ARGUS-PREROUTING -s $network -j RETURN"$'\n'
  fi
done
[[ $own ]] || die "$NAME has no pod network"
problem=$(way_problem "$own_address" < <(printf '%s\n' "${others[@]}"))
[[ ! $problem ]] || die "$NAME $problem"
for address in "${others[@]}"; do
  [[ $(ip -4 route show match "$address" scope link) ]] ||
    die "$NAME reaches $address through a router only, and routes to pods lead from machine to machine: put all machines on" \
      "one layer-2 network, or name a network of your own (argus:cluster.network.manifest)"
done
if [[ $POLICIES == enforced ]]; then judgeable; else open_pods; fi

put /etc/argus/routes 0644 <<<"${routes%$'\n'}"
# iptables, not nft, because the nft of Debian 12 crashes on tables that a newer nft (kube-proxy's) has made.
put /etc/argus/masquerade 0644 <<FILE
*nat
:ARGUS-POSTROUTING - [0:0]
-A ARGUS-POSTROUTING -s $own ! -d $POD_NETWORK -j MASQUERADE --random-fully
COMMIT
FILE
# What comes to this machine and concerns pods or services must come from a pod here, from another node, or from a pod of
# one. It is looked at before kube-proxy gives it another destination, so the page's NodePort stays open to everybody, and
# before conntrack. A change is one transaction: no packet is looked at by half of the rules.
# - The page is at the virtual IP alone, which moves to a control plane that lives.
# - A pod's link carries nothing but what that pod sends under its own address.
# - Services are reached from pods here alone: other nodes choose a pod of the service themselves.
# - What comes must come by the link by which its source would be answered.
put /etc/argus/guard 0644 <<FILE
*raw
:ARGUS-PREROUTING - [0:0]
-A ARGUS-PREROUTING -i lo -j RETURN
-A ARGUS-PREROUTING ! -d $ENDPOINT -p tcp --dport $PAGE_PORT --syn -m addrtype --dst-type LOCAL -j DROP
-A ARGUS-PREROUTING -i veth+ -m rpfilter --invert -j DROP
-A ARGUS-PREROUTING -i veth+ -s $own -j RETURN
-A ARGUS-PREROUTING -d $SERVICE_NETWORK -j DROP
-A ARGUS-PREROUTING ! -s $POD_NETWORK ! -d $POD_NETWORK -j RETURN
-A ARGUS-PREROUTING -m rpfilter --invert -j DROP
${known}-A ARGUS-PREROUTING -j DROP
COMMIT
FILE
put /usr/local/lib/argus/network 0755 <<FILE
#!/bin/sh
# Sets the routes and rules of the pods' network; argus-network.service runs it.
set -eu
iptables-restore --wait --noflush /etc/argus/guard
iptables --wait -t raw -C PREROUTING -j ARGUS-PREROUTING 2>/dev/null ||
  iptables --wait -t raw -A PREROUTING -j ARGUS-PREROUTING
ip -batch /etc/argus/routes
iptables-restore --wait --noflush /etc/argus/masquerade
iptables --wait -t nat -C POSTROUTING -j ARGUS-POSTROUTING 2>/dev/null ||
  iptables --wait -t nat -A POSTROUTING -j ARGUS-POSTROUTING
# After a start of the machine new connections of pods wait for the program that judges them.
if [ -e $STATE/network-policies/rules ]; then
  iptables-restore --wait --noflush $STATE/network-policies/rules
  for hook in INPUT POSTROUTING; do
    iptables --wait -t mangle -C \$hook -j ARGUS-POLICIES 2>/dev/null ||
      iptables --wait -t mangle -A \$hook -j ARGUS-POLICIES
  done
fi
FILE
put /etc/systemd/system/argus-network.service 0644 <<FILE
[Unit]
Description=Routes to the pods of the other nodes, and a guard against strangers
Wants=network-online.target
After=network-online.target
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/argus/network
ExecReload=/usr/local/lib/argus/network
ExecStop=-/usr/sbin/ip -4 route flush proto $protocol
ExecStop=-/usr/sbin/iptables --wait -t nat -D POSTROUTING -j ARGUS-POSTROUTING
ExecStop=-/usr/sbin/iptables --wait -t nat -F ARGUS-POSTROUTING
ExecStop=-/usr/sbin/iptables --wait -t nat -X ARGUS-POSTROUTING
ExecStop=-/usr/sbin/iptables --wait -t raw -D PREROUTING -j ARGUS-PREROUTING
ExecStop=-/usr/sbin/iptables --wait -t raw -F ARGUS-PREROUTING
ExecStop=-/usr/sbin/iptables --wait -t raw -X ARGUS-PREROUTING

[Install]
WantedBy=multi-user.target
FILE
systemctl daemon-reload
systemctl enable -q argus-network.service
action=start
if systemctl is-active -q argus-network.service; then action=reload; fi
systemctl "$action" argus-network.service ||
  die "routes or rules of the pods' network were refused: journalctl -u argus-network tells why (the rules need the" \
    "kernel's rpfilter match and raw table, which Debian's kernels have)"
ip -4 route show proto "$protocol" | while read -r network _; do
  grep -qF " $network via " /etc/argus/routes || ip route delete "$network" proto "$protocol"
done

if [[ $POLICIES == enforced ]]; then
  install -d -m 0700 "$STATE/network-policies"
  touch "$STATE/network-policies/wanted"
fi

# Written last, because the kubelet reports the node Ready once this file exists.
put /etc/cni/net.d/10-argus.conflist 0600 <<<"${CNI//@NETWORK@/$own}"
