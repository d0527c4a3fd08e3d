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
# end PROGRAM: ends a static pod's program, which the kubelet starts again.
end() {
  pkill -f "^$1 " || true
  sleep 2
  until_true 120 api_server_serves || die "the API server is not ready after the restart of $1"
}

write_metrics
due || exit 0
# Another control plane may be renewing its certificates or may be dead: try again at the next daily run.
api_server_serves || die "the cluster is not well; certificates are not renewed now"
kubeadm certs renew all
chmod go-rwx "${renewed[@]}"
end etcd
restart_api_server || die "the API server does not start with its new certificate. Its log is in /var/log/pods"
end kube-controller-manager
end kube-scheduler
write_metrics
