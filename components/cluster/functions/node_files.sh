#!/usr/bin/env bash
# Files of a node that do not come from kubeadm, or that kubeadm leaves readable for all.

# api_server_files: writes AUDIT_POLICY and AUTHENTICATION, which the API server reads when it starts.
api_server_files() {
  printf '%s\n' "$AUDIT_POLICY" >/etc/kubernetes/audit-policy.yaml
  printf '%s\n' "$AUTHENTICATION" >/etc/kubernetes/authentication.yaml
  chmod 0600 /etc/kubernetes/{audit-policy,authentication}.yaml
}

# static_pod_patches: writes what kubeadm changes in the control plane's pods. It lets kubelets ask these every second whether
# they are ready; nothing but the pods' status depends on it, since HAProxy asks the API servers itself, and each question is a
# TLS handshake or a read that etcd's members agree on.
static_pod_patches() {
  local pod
  mkdir -p /etc/kubernetes/patches
  for pod in etcd kube-apiserver kube-scheduler; do
    printf 'spec: {containers: [{name: %s, readinessProbe: {periodSeconds: 10}}]}\n' "$pod" \
      >"/etc/kubernetes/patches/$pod+strategic.yaml"
  done
}

# processors_of_service: prints a drop-in by which a service in Go uses GO_MAX_PROCS processors at a time; nothing where it
# may use all.
processors_of_service() {
  [[ ! $GO_MAX_PROCS ]] || printf '[Service]\nEnvironment=GOMAXPROCS=%s\n' "$GO_MAX_PROCS"
}

# private_files: takes the right to read from everybody but root, as the CIS benchmark asks.
private_files() {
  find /var/lib/kubelet/config.yaml /etc/systemd/system/kubelet.service /etc/cni/net.d /etc/kubernetes/manifests \
    /etc/kubernetes/pki -type f -perm /077 -exec chmod go-rwx {} + 2>/dev/null || true
  # kubeadm makes this folder private, but leaves one as it is that exists, as a disk of its own does.
  [[ ! -d /var/lib/etcd ]] || chmod go-rwx /var/lib/etcd
}
