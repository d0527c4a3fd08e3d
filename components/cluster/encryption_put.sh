#!/usr/bin/env bash
# Standard input: the keys (secret) of Secrets, the encrypting one first. Writes them and starts the API server anew; does
# nothing if it has them. The former file comes back if the API server does not start.
alone node
wanted=$(cat)
[[ $wanted ]] || die "the keys did not arrive on standard input: does a login shell here read it?"
[[ $(encryption_keys) != "$wanted" ]] || exit 0
until_true 120 api_server_serves ||
  die "the API server here is not ready, so its key stays as it is"
(umask 077 && cp -p /etc/kubernetes/encryption.yaml /etc/kubernetes/encryption.yaml.before)
put_encryption <<<"$wanted"
restart_api_server || {
  mv -f /etc/kubernetes/encryption.yaml.before /etc/kubernetes/encryption.yaml
  restart_api_server || true
  die "the API server does not start with the new keys; the former ones are back. Its log is in /var/log/pods"
}
rm -f /etc/kubernetes/encryption.yaml.before
