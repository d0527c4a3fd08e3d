#!/usr/bin/env bash
# Configures HAProxy in front of all API servers, and keepalived, which holds the virtual IP here or on a peer.
: "${ADDRESS:?}" "${VIRTUAL_IP:?}" "${PORT:?}" "${HAPROXY:?}" "${KEEPALIVED:?}" "${CONTROL_PLANES:?}"

# This is the first step that sees control planes removed from the list: without them, etcd must keep a live majority, and
# most of its members must stay.
if is_member; then
  listed=$(until_true 60 etcd member list </dev/null) ||
    die "etcd does not answer, so whether it would keep its majority is not known (docs/operations.md, Back up and restore)"
  staying=0 living=0 leaving=()
  while read -r member; do
    if ! grep -qxF "$member" <<<"$CONTROL_PLANES"; then
      leaving+=("$member")
    else
      staying=$((staying + 1))
      if is_ready "$member"; then living=$((living + 1)); fi
    fi
  done < <(awk -F', ' '$3 { print $3 }' <<<"$listed")
  if ((${#leaving[@]} && (${#leaving[@]} > staying || 2 * living <= staying))); then
    die "without ${leaving[*]}, etcd would have $living living of $staying members, and loses its majority: take out one" \
      "control plane at a time, a dead one first, each with its own \`pulumi up\`"
  fi
fi

interface=$(ip -o -4 addr show | awk -v address="$ADDRESS" '{ split($4, a, "/"); if (a[1] == address) print $2 }')
[[ $interface ]] || die "no interface of this machine has the address $ADDRESS"

remember_unit haproxy.service
remember_unit keepalived.service

CHANGED=false
put /etc/haproxy/haproxy.cfg 0644 <<<"$HAPROXY"
haproxy -c -q -f /etc/haproxy/haproxy.cfg
systemctl enable -q haproxy.service
if [[ $CHANGED == true ]]; then systemctl reload-or-restart haproxy.service; else systemctl start haproxy.service; fi

# A control plane that leaves or is replaced still runs until its removal, which comes later. Until then it must receive
# the adverts, or it would take the virtual IP too.
peers=''
if is_member; then
  known=$(until_true 60 control_plane_addresses) || die "the API server does not answer"
  while read -r peer; do
    if [[ $peer ]] && ! grep -qwF "$peer" <<<"$KEEPALIVED"; then peers+="        $peer"$'\n'; fi
  done <<<"$known"
fi

CHANGED=false
# keepalived of Debian 13 gives the mark of its addresses a name there.
remember /etc/iproute2/rt_addrprotos.d/keepalived.conf
KEEPALIVED=${KEEPALIVED//@INTERFACE@/$interface}
put /etc/keepalived/keepalived.conf 0644 <<<"${KEEPALIVED//@LEAVING@/$peers}"
# A check that keepalived holds for insecure, it leaves out with a line in its log: the address would then stay with a machine
# whose API server is dead.
said=$(keepalived --config-test --use-file=/etc/keepalived/keepalived.conf 2>&1) || true
if grep -q '^Disabling track script' <<<"$said"; then die "keepalived does not run its checks: $said"; fi
systemctl enable -q keepalived.service
if [[ $CHANGED == true ]]; then systemctl reload-or-restart keepalived.service; else systemctl start keepalived.service; fi

until_true 20 listens "$VIRTUAL_IP" "$PORT" || die "no machine holds the virtual IP $VIRTUAL_IP: journalctl -u keepalived"
