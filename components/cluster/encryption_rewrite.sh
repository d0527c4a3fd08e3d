#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: rewrites every Secret, and waits until none is in etcd that is not
# encrypted with KEY. A Secret that changes meanwhile is written with that key anyway.
: "${KEY:?}"
rewritten() {
  admin get secrets --all-namespaces -o json | admin replace -f - >/dev/null 2>&1 || true
  local all encrypted
  all=$(etcd get --prefix /registry/secrets/ --keys-only | grep -c ^/registry/secrets/) || return
  encrypted=$(etcd get --prefix /registry/secrets/ --print-value-only | grep -a -o "k8s:enc:secretbox:v1:$KEY:" | wc -l)
  ((encrypted >= all))
}
until_true 300 rewritten || die "not every Secret is encrypted with $KEY yet; the old key is kept. Run \`pulumi up\` again"
