#!/usr/bin/env bash
# This machine's API server, by its own port.

# api_server_serves: whether it is ready.
api_server_serves() { curl -ksf --max-time 2 -o /dev/null https://localhost:6443/readyz; }

# restart_api_server: has the kubelet start another API server in the place of this machine's, and waits until it is ready.
# Another annotation makes it another pod. One that is ended and stays the same pod is started again only after a pause that
# doubles each time, up to five minutes: longer than a machine may be silent. A patch keeps the annotation at kubeadm's hands.
restart_api_server() {
  local manifest=/etc/kubernetes/manifests/kube-apiserver.yaml aside=/etc/kubernetes/kube-apiserver.new process now
  process=$(pgrep -o -f '^kube-apiserver ') || true
  now=$(date +%s%N)
  mkdir -p /etc/kubernetes/patches
  printf 'metadata: {annotations: {argus/started: "%s"}}\n' "$now" >/etc/kubernetes/patches/kube-apiserver1+strategic.yaml
  (umask 077 && awk -v now="$now" '
    $1 == "argus/started:" { next }
    { print }
    /^  annotations:$/ { print "    argus/started: \"" now "\"" }
  ' "$manifest" >"$aside")
  mv -f "$aside" "$manifest" # whole, because the kubelet may read it at any time
  until_true 240 api_server_after "$process"
}

# api_server_after PROCESS: whether an API server runs that is not this process, and is ready.
api_server_after() {
  [[ $(pgrep -o -f '^kube-apiserver ' || true) != "$1" ]] && api_server_serves
}
