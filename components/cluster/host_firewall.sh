#!/usr/bin/env bash
# Sets the host firewall of one machine, or takes it away. It drops what opens a connection and comes from no known client; it
# accepts nothing, so a firewall of the machine's owner stays as strict as it is.
: "${FIREWALL:?}" "${NAME:?}" "${ADDRESS:?}" "${PROGRAM:?}" "${POD_NETWORK:?}" "${PORTS:?}" "${API_CLIENTS?}" "${DIRECT:?}"
alone firewall
if [[ $FIREWALL == off ]]; then
  open_ports
  exit 0
fi

nodes=$(cat) # lines as firewall.sh reads them
grep -q "^$ADDRESS " <<<"$nodes" ||
  die "the list of nodes did not arrive: does a login shell here read standard input? Set argus:ssh.rerun to another word"
mapfile -t cluster < <(of_cluster <<<"$nodes")

# What would be cut off is found before anything is refused.
off='set argus:cluster.hostFirewall: off'
problem=$(way_problem "$ADDRESS" < <(awk '{ print $1 }' <<<"$nodes"))
[[ ! $problem ]] || die "$NAME $problem, or $off"
if ! in_force; then
  # Until now everybody got in. etcd's members and a kubelet's clients keep connections open, so they are seen here.
  mapfile -t ports <<<"$PORTS"
  strangers=$(connected "${ports[@]}" | outside "${cluster[@]}")
  [[ ! $strangers ]] || die "${strangers//$'\n'/, } has a connection to $NAME at ${PORTS//$'\n'/, } and is no machine of the" \
    "cluster: end that; or, if it is a machine whose address something in between changes, $off"
fi
if [[ $API_CLIENTS ]]; then
  mapfile -t clients <<<"$API_CLIENTS"
  client=$(ssh_client | outside "${cluster[@]}" "${clients[@]}")
  # Through a bastion, the login comes from another address than requests to the API do.
  if [[ $client && $DIRECT == true ]]; then
    die "this update comes from $client, which argus:cluster.apiClients would shut out: add it there"
  fi
fi

remember /etc/argus/firewall-nodes
mkdir -p /etc/argus
write_firewall_nodes "$nodes"
put /usr/local/lib/argus/firewall 0755 <<<"$PROGRAM"
put /etc/systemd/system/argus-firewall.service 0644 <<'FILE'
[Unit]
Description=Host firewall of the cluster's own programs
After=nftables.service netfilter-persistent.service firewalld.service ufw.service
Before=kubelet.service

[Service]
Type=oneshot
ExecStart=/usr/local/lib/argus/firewall
LogLevelMax=notice

[Install]
WantedBy=multi-user.target
FILE
put /etc/systemd/system/argus-firewall.timer 0644 <<'FILE'
[Unit]
Description=Regular look whether somebody flushed the host firewall

[Timer]
OnUnitInactiveSec=3min

[Install]
WantedBy=timers.target
FILE
systemctl daemon-reload
systemctl enable -q argus-firewall.service argus-firewall.timer
start_firewall
systemctl start argus-firewall.timer
