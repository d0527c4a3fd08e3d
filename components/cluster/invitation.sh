#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP. Prints the credentials (secret) that one machine needs to join, or
# CLUSTER=none if there is no cluster yet. They expire after two hours. upload-certs encrypts the cluster's keys with a key that
# only new control planes get; a cluster has one such secret, so machines that join at the same time get the same key.
# With the argument `rejoin`, the machine says that it is not a member, even if the cluster has its node.
: "${JOINING:?}" "${ADDRESS:?}" "${CONTROL_PLANE:?}" "${VERSION:?}"
export KUBECONFIG=/etc/kubernetes/admin.conf

if [[ ! -s $KUBECONFIG || ! -s $STATE/member ]]; then
  echo "CLUSTER=none"
  exit 0
fi
address=$(until_true 60 node_address "$JOINING") || die "the API server does not answer"
if [[ $address != "$ADDRESS" || ${1:-} == rejoin ]]; then
  runs=$(until_true 60 cluster_version) || die "the API server does not answer"
  [[ ${runs%.*} == "${VERSION%.*}" ]] || die "the cluster runs Kubernetes $runs, and $JOINING would join it with $VERSION:" \
    "upgrade first, by \`pulumi up\` without $JOINING in argus:machines, then add it"
fi
if [[ $address && $address != "$ADDRESS" ]]; then
  until_true 60 is_lost "$JOINING" || die "$JOINING lives, at $address, and cannot be at $ADDRESS too: give the new" \
    "machine a name of its own and take $JOINING out, or stop $JOINING first"
  say "$JOINING at $address is dead; $ADDRESS takes its place"
  until_true 60 forget "$JOINING" || die "the cluster does not forget the dead $JOINING: see above"
elif [[ $CONTROL_PLANE == true ]] && [[ ! $address || ${1:-} == rejoin ]]; then
  # The etcd member may remain from an interrupted join, or from a disk that is gone.
  until_true 60 forget_etcd_member "$JOINING" || {
    if is_ready "$JOINING"; then
      die "$JOINING says that it is no node, but its node is Ready and a member of etcd. It is not invited anew while it lives:" \
        "see that $STATE is there on it, or run \`kubeadm reset\` on it, then \`pulumi up\`"
    fi
    die "etcd does not answer"
  }
fi
if [[ $address && ${1:-} == rejoin ]]; then
  # kubeadm refuses the name of a node that is Ready. A node whose join was interrupted may stay Ready, so do not insist.
  until_true 30 is_lost "$JOINING" || true
fi
token=$(until_true 60 kubeadm token create --ttl 2h --description "argus: $JOINING") ||
  die "the API server did not make a token for $JOINING"
ca=$(openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum)
echo "TOKEN=$token"
echo "CA_HASH=sha256:${ca%% *}"
if [[ $CONTROL_PLANE == true ]]; then
  alone invitation
  kept=/run/argus-certificate-key
  [[ $(find "$kept" -mmin -60 -size +0 2>/dev/null) ]] || (umask 077 && kubeadm certs certificate-key >"$kept")
  key=$(<"$kept")
  config=$(mktemp -p /run)
  trap 'rm -f "$config"' EXIT
  cat >"$config" <<FILE
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
certificateKey: $key
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $(kubeadm version -o short)
FILE
  kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print --config "$config" >/dev/null
  echo "CERTIFICATE_KEY=$key"
  # All control planes share one encryption key. Clusters older than this feature have none.
  if [[ -s /etc/kubernetes/encryption.yaml ]]; then
    encryption=$(base64 -w 0 /etc/kubernetes/encryption.yaml)
    echo "ENCRYPTION=$encryption"
  fi
fi
