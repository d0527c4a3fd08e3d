#!/usr/bin/env bash
# renew-certificates DAYS: renews the control plane's certificates if one of them has fewer days left, then restarts, one at
# a time, the programs that read certificates only at start. The kubelet renews its own. Expiry times are written as
# metrics, to a file that Debian's prometheus-node-exporter reads.
set -euo pipefail
days=$1 pki=/etc/kubernetes/pki metrics=/var/lib/prometheus/node-exporter/argus-certificates.prom
renewed=("$pki"/{apiserver,apiserver-etcd-client,apiserver-kubelet-client,front-proxy-client}.crt
  "$pki"/etcd/{server,peer,healthcheck-client}.crt)

due() {
  local each
  for each in "${renewed[@]}"; do
    openssl x509 -noout -checkend $((days * 86400)) -in "$each" >/dev/null || return 0
  done
  return 1
}
write_metrics() {
  local each until new
  mkdir -p "${metrics%/*}"
  new=$(mktemp "${metrics%/*}/.argus-XXXXXX")
  {
    echo "# HELP argus_certificate_expiry_timestamp_seconds When a certificate of the control plane expires."
    echo "# TYPE argus_certificate_expiry_timestamp_seconds gauge"
    for each in "${renewed[@]}" "$pki/ca.crt" /var/lib/kubelet/pki/kubelet-client-current.pem; do
      until=$(openssl x509 -noout -enddate -in "$each") || continue
      until=$(date --date "${until#notAfter=}" +%s)
      echo "argus_certificate_expiry_timestamp_seconds{path=\"$each\"} $until"
    done
  } >"$new"
  chmod 0644 "$new"
  mv -f "$new" "$metrics" # atomic, because it may be read at any time
}
serves() { curl -ksf --max-time 2 -o /dev/null https://localhost:6443/readyz; }
until_served() {
  local attempt
  for ((attempt = 0; attempt < 120; attempt++)); do
    if serves; then return; fi
    sleep 1
  done
  echo "the API server is not ready after $1" >&2
  return 1
}

write_metrics
due || exit 0
# Another control plane may be renewing its certificates or may be dead: try again at the next daily run.
serves || { echo "the cluster is not well; certificates are not renewed now" >&2; exit 1; }
kubeadm certs renew all
chmod go-rwx "${renewed[@]}"
for program in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  pkill -f "^$program " || true
  sleep 2
  until_served "the restart of $program"
done
write_metrics
