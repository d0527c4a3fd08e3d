#!/usr/bin/env bash
# The file that tells an API server how Secrets are encrypted in etcd.

# encryption_keys: prints each key of the file as `name secret`, in the file's order, and `identity` where that comes before
# a key. The first encrypts; all open.
encryption_keys() {
  awk '$1 == "-" && $2 == "identity:" { print "identity" }
    $1 == "-" && $2 == "name:" { name = $3; gsub(/"/, "", name) }
    $1 == "secret:" { print name, $2 }' /etc/kubernetes/encryption.yaml 2>/dev/null | sed '$ { /^identity$/d }'
}

# put_encryption <keys: writes the file from lines as `encryption_keys` prints them; umask keeps it from other users at all
# times. What is not encrypted can always be read. Names are quoted, because YAML reads `2026` or `on` as no text.
put_encryption() {
  local name secret last=''
  (umask 077 && {
    printf '%s\n' 'apiVersion: apiserver.config.k8s.io/v1' 'kind: EncryptionConfiguration' 'resources:' \
      '  - resources: [secrets]' '    providers:'
    while read -r name secret; do
      last=$name
      if [[ $name == identity ]]; then
        echo '      - identity: {}'
      else
        printf '%s\n' '      - secretbox:' '          keys:' "            - name: \"$name\"" "              secret: $secret"
      fi
    done
    [[ $last == identity ]] || echo '      - identity: {}'
  } >/etc/kubernetes/encryption.yaml.new)
  mv -f /etc/kubernetes/encryption.yaml.new /etc/kubernetes/encryption.yaml
}
