#!/usr/bin/env bash
# The kubelets' serving certificates, which the cluster's CA signs: which requests are granted.

# serving_requests: prints the pending requests, each a line `name user groups usages request` with tabs between.
serving_requests() {
  admin get certificatesigningrequests --field-selector spec.signerName=kubernetes.io/kubelet-serving \
    --request-timeout=10s -o go-template='{{range .items}}{{if not .status.conditions}}{{.metadata.name}}{{"\t"}}{{.spec.username}}{{"\t"}}{{range .spec.groups}}{{.}},{{end}}{{"\t"}}{{range .spec.usages}}{{.}},{{end}}{{"\t"}}{{.spec.request}}{{"\n"}}{{end}}{{end}}'
}

# why_not NODES USER GROUPS USAGES REQUEST: prints why a request is not granted; nothing if it is. A node may ask for its own
# name and address only, as the stack knows them: a Node object would say whatever its kubelet wrote there.
why_not() {
  local node=${2#system:node:} address text names
  [[ $2 == system:node:* && ,$3 == *,system:nodes,* ]] || { echo "$2 is no node" && return; }
  address=$(awk -v node="$node" '$1 == node { print $2 }' <<<"$1")
  [[ $address ]] || { echo "$node is no machine of the stack" && return; }
  case $4 in
    'digital signature,server auth,' | 'digital signature,key encipherment,server auth,') ;;
    *) echo "$node asks for the usages $4" && return ;;
  esac
  text=$(base64 -d <<<"$5" | openssl req -noout -subject -nameopt RFC2253 -text 2>/dev/null) ||
    { echo "the request of $node cannot be read" && return; }
  grep -qxF "subject=CN=system:node:$node,O=system:nodes" <<<"$text" || { echo "$node asks for another subject" && return; }
  names=$(grep -A 1 -F 'X509v3 Subject Alternative Name' <<<"$text" | tail -n 1 | tr -d ' ' | tr , '\n' | LC_ALL=C sort)
  [[ $names == "DNS:$node"$'\n'"IPAddress:$address" ]] || echo "$node, at $address, asks for the names ${names//$'\n'/, }"
}

# grant_serving NODES: approves the pending requests of these nodes (a line `name address` each) that `why_not` says nothing
# about; the others stay pending, and the reason is said.
grant_serving() {
  local name user groups usages request reason requests
  requests=$(serving_requests) || return
  while IFS=$'\t' read -r name user groups usages request; do
    [[ $name ]] || continue
    reason=$(why_not "$1" "$user" "$groups" "$usages" "$request")
    if [[ $reason ]]; then
      say "the request $name for a kubelet's serving certificate is not granted: $reason"
    else
      admin certificate approve "$name" --request-timeout=10s >&2
    fi
  done <<<"$requests"
}

# serves_signed NODE ADDRESS: whether the node's kubelet serves a certificate of the cluster's CA; grants it if it asks.
serves_signed() {
  timeout 5 openssl s_client -connect "$2:10250" -CAfile /etc/kubernetes/pki/ca.crt -verify_return_error -verify_ip "$2" \
    </dev/null >/dev/null 2>&1 && return
  grant_serving "$1 $2" 2>/dev/null || true
  return 1
}

# await_serving NODE ADDRESS: waits until the node's kubelet has its serving certificate. Runs on a control plane.
await_serving() {
  until_true 120 serves_signed "$1" "$2" && return
  grant_serving "$1 $2" || true
  die "the kubelet of $1 has no serving certificate of the cluster's CA: \`kubectl get csr\` and journalctl -u kubelet on $1" \
    "say more"
}
