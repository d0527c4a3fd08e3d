#!/usr/bin/env bash
# Network policies on one machine: containers/network-policies writes the rules that hand new connections of pods to it, and
# keeps them in $STATE/network-policies/rules while $STATE/network-policies/wanted is there.

# judgeable: stops unless this kernel can hand connections to a program.
judgeable() {
  modprobe -qa nfnetlink_queue xt_NFQUEUE 2>/dev/null || true
  iptables --wait -t mangle -N ARGUS-TRIED 2>/dev/null || iptables --wait -t mangle -F ARGUS-TRIED
  local refused=''
  iptables --wait -t mangle -A ARGUS-TRIED -m conntrack --ctstate NEW -m addrtype --src-type LOCAL -j NFQUEUE --queue-num 1 ||
    refused=NFQUEUE
  iptables --wait -t mangle -F ARGUS-TRIED
  iptables --wait -t mangle -X ARGUS-TRIED
  [[ -e /proc/net/netfilter/nfnetlink_queue ]] || refused=nfnetlink_queue
  [[ ! $refused ]] || die "the kernel of this machine lacks $refused, without which no network policy is enforced: install" \
    "a kernel of Debian's, which has it, or set argus:cluster.networkPolicies: declared, and every pod reaches every other"
}

# open_pods: takes the rules out, and what would set them again. It is repeatable.
open_pods() {
  local hook
  rm -rf "$STATE/network-policies"
  # A table of the library's, without an element, which stays where the program was killed.
  nft delete table inet argus-network-policies 2>/dev/null || true
  iptables --wait -t mangle -S ARGUS-POLICIES >/dev/null 2>&1 || return 0
  for hook in INPUT POSTROUTING; do
    iptables --wait -t mangle -D "$hook" -j ARGUS-POLICIES 2>/dev/null || true
  done
  iptables --wait -t mangle -F ARGUS-POLICIES
  iptables --wait -t mangle -X ARGUS-POLICIES
}
