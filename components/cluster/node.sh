#!/usr/bin/env bash
# Makes this machine a node, as control plane or worker. Already a member: does nothing. Invited by a live member: joins.
# No cluster yet, and this is the machine where it starts: init.
: "${NAME:?}" "${VIRTUAL_IP:?}" "${PORT:?}" "${BOOTSTRAP:?}" "${CONTROL_PLANE:?}" "${INIT_CONFIG?}" "${JOIN_CONFIG:?}"
: "${ADDRESS:?}" "${AUDIT_POLICY?}" "${AUTHENTICATION?}" "${SECRETS_KEY?}" "${GO_MAX_PROCS?}"
alone node
command -v kubeadm >/dev/null ||
  die "kubeadm is gone: a destroy was cut short here. Finish it with \`pulumi destroy\`, then run \`pulumi up\`"

CLUSTER='' TOKEN='' CA_HASH='' CERTIFICATE_KEY='' ENCRYPTION=''
while read -r line || [[ $line ]]; do
  key=${line%%=*} # splitting at IFS would drop a trailing = of the value
  case $key in CLUSTER | TOKEN | CA_HASH | CERTIFICATE_KEY | ENCRYPTION) printf -v "$key" %s "${line#*=}" ;; esac
done

if is_member; then
  member=$(<"$STATE/member")
  [[ $member == "$NAME" ]] ||
    die "this machine is the node $member: take $member out first (\`pulumi up\` without it), then add $NAME"
  role=false
  [[ ! -e /etc/kubernetes/manifests/kube-apiserver.yaml ]] || role=true
  [[ $role == "$CONTROL_PLANE" ]] ||
    die "$NAME cannot change between control plane and worker: take it out first (\`pulumi up\` without it), then add it"
  systemctl start kubelet.service
  exit 0
fi

[[ $TOKEN || $CLUSTER == none ]] ||
  die "the invitation of $NAME did not arrive: does a login shell here read standard input? Set argus:ssh.rerun to another word"
endpoint=https://$VIRTUAL_IP:$PORT
config=$(mktemp -p /run)
trap 'rm -f "$config"' EXIT

# leave_etcd: removes this machine's etcd member through the other members, before anything here is deleted: with two
# members, losing one loses the majority, and `kubeadm reset` continues even if it could not leave etcd.
leave_etcd() {
  local manifest=/etc/kubernetes/manifests/etcd.yaml url others image said
  [[ $TOKEN && -e $manifest ]] || return 0
  url=$(sed -n 's/.*--initial-advertise-peer-urls=//p' "$manifest")
  others=$(sed -n 's/.*--initial-cluster=//p' "$manifest" | tr , '\n' | sed 's/^[^=]*=//' | grep -vxF "$url" |
    sed 's/:2380$/:2379/' | paste -sd , -) || return 0
  image=$(sed -n 's/^ *image: //p' "$manifest")
  others_etcd() {
    ctr --namespace k8s.io run --rm --privileged --net-host \
      --mount "type=bind,src=/etc/kubernetes/pki/etcd,dst=/pki,options=rbind:ro" "$image" "argus-leave-$$" \
      etcdctl --endpoints="$others" --cacert=/pki/ca.crt --cert=/pki/peer.crt --key=/pki/peer.key "$@"
  }
  left() {
    local members id
    members=$(others_etcd member list 2>&1) || { said=$members && return 1; }
    id=$(awk -F', ' -v url="$url" '$4 == url { print $1 }' <<<"$members")
    [[ ! $id ]] || said=$(others_etcd member remove "$id" 2>&1)
  }
  until_true 120 left || die "an attempt of $NAME to join was cut short, and etcd does not let it go: $said. Nothing of it is" \
    "removed: see to etcd (docs/operations.md, Back up and restore), then run \`pulumi up\` again"
}

# An interrupted attempt leaves an incomplete node, which kubeadm refuses to continue.
if compgen -G '/etc/kubernetes/*.conf' >/dev/null || compgen -G '/etc/kubernetes/manifests/*' >/dev/null; then
  say "clearing an interrupted attempt"
  leave_etcd
  kubeadm reset --force --cleanup-tmp-dir >/dev/null 2>&1
fi

drop_in kubelet.service processors "$(processors_of_service)"
systemctl daemon-reload
if [[ $CONTROL_PLANE == true ]]; then
  api_server_files
  # `kubeadm reset` leaves this file. An unused key is generated again; a cluster without encryption needs none.
  rm -f /etc/kubernetes/encryption.yaml
  static_pod_patches
fi

if [[ $TOKEN ]]; then
  [[ ! $ENCRYPTION ]] || (umask 077 && base64 -d <<<"$ENCRYPTION" >/etc/kubernetes/encryption.yaml)
  filled=${JOIN_CONFIG//@TOKEN@/$TOKEN}
  filled=${filled//@CA_HASH@/$CA_HASH}
  printf '%s\n' "${filled//@CERTIFICATE_KEY@/$CERTIFICATE_KEY}" >"$config"
  until_true 60 curl -ksf --max-time 2 -o /dev/null "$endpoint/readyz" || die "no API server answers at $endpoint"
  kubeadm join --config "$config" >&2
elif [[ $BOOTSTRAP == true ]]; then
  if curl -ks --max-time 3 -o /dev/null "$endpoint/livez"; then
    die "a cluster answers at $endpoint, but no living control plane has invited $NAME: check that the virtual IP is free"
  fi
  key=$(head -c 32 /dev/urandom | base64)
  put_encryption <<<"$SECRETS_KEY $key"
  printf '%s\n' "$INIT_CONFIG" >"$config"
  kubeadm init --config "$config" --skip-token-print --skip-certificate-key-print >&2
else
  die "no cluster answers at $endpoint and $NAME is not where one starts"
fi

if [[ $CONTROL_PLANE == true ]]; then
  until_true 60 api_server_serves || die "the API server is not ready"
  # Until then the API servers do not reach this kubelet, and so not etcd by its pod here, which other steps ask. A cluster
  # from before kubelets asked for certificates tells this one by settings.sh.
  if grep -qs '^serverTLSBootstrap: true' /var/lib/kubelet/config.yaml; then await_serving "$NAME" "$ADDRESS"; fi
  # Invitations come from the holder of the virtual IP, so a member must hold it before the next machine asks.
  if [[ $BOOTSTRAP == true ]]; then
    until_true 30 holds "$VIRTUAL_IP" || [[ $TOKEN ]] || die "the virtual IP $VIRTUAL_IP stays with another machine"
  fi
fi
mkdir -p "$STATE"
echo "$NAME" >"$STATE/member"
