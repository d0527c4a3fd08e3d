#!/usr/bin/env bash
# The pods of this control plane, which its kubelet runs from files.

# pod_serves POD: whether this machine's pod of that name is ready.
pod_serves() {
  local url
  case $1 in
    kube-apiserver) url=https://localhost:6443/readyz ;;
    kube-controller-manager) url=https://localhost:10257/healthz ;;
    kube-scheduler) url=https://localhost:10259/healthz ;;
  esac
  curl -ksf --max-time 2 -o /dev/null "$url"
}
api_server_serves() { pod_serves kube-apiserver; }

# restart_api_server: has the kubelet start another API server in the place of this machine's, and waits until it is ready.
# Another annotation makes it another pod. One that is ended and stays the same pod is started again only after a pause that
# doubles each time, up to five minutes: longer than a machine may be silent. A patch keeps the annotation at kubeadm's hands.
restart_api_server() {
  local manifest=/etc/kubernetes/manifests/kube-apiserver.yaml process now
  process=$(pgrep -o -f '^kube-apiserver ') || true
  now=$(date +%s%N)
  mkdir -p /etc/kubernetes/patches
  printf 'metadata: {annotations: {argus/started: "%s"}}\n' "$now" >/etc/kubernetes/patches/kube-apiserver1+strategic.yaml
  awk -v now="$now" '
    $1 == "argus/started:" { next }
    { print }
    /^  annotations:$/ { print "    argus/started: \"" now "\"" }
  ' "$manifest" | put_static_pod kube-apiserver
  until_true 240 serves_after "$process" kube-apiserver
}

# put_static_pod POD <file: replaces a pod's file as a whole, because the kubelet may read it at any time, and all in its folder.
put_static_pod() {
  local aside=/etc/kubernetes/$1.new
  (umask 077 && cat >"$aside")
  mv -f "$aside" "/etc/kubernetes/manifests/$1.yaml"
}

# rewritten POD COMMAND...: runs a command that writes the file of a pod. Where that makes another one of it, waits until that
# one serves, or puts the former file back and fails.
rewritten() {
  local pod=$1 manifest=/etc/kubernetes/manifests/$1.yaml before process
  shift
  before=$(<"$manifest")
  process=$(pgrep -o -f "^$pod ") || true
  "$@"
  [[ $(<"$manifest") != "$before" ]] || return 0
  say "$pod of this machine starts anew with its new settings"
  until_true 240 serves_after "$process" "$pod" || {
    put_static_pod "$pod" <<<"$before"
    die "$pod does not start with the stack's settings; the former ones are back. Its log is in /var/log/pods"
  }
}

# serves_after PROCESS POD: whether the pod's program runs, is not this process, and is ready.
serves_after() {
  [[ $(pgrep -o -f "^$2 " || true) != "$1" ]] && pod_serves "$2"
}
