#!/usr/bin/env bash
# certificate.sh authority: print a new private key and a certificate of an authority, as PEM.
# certificate.sh identity NAME [HOST...] <AUTHORITY: print a new private key, a certificate for NAME, as which it shows
# itself to servers and, at these HOSTs, to clients, and the authority's certificate, as PEM.
# The operator's computer may have LibreSSL as its `openssl`, so only what both have is used.
set -euo pipefail
umask 077

readonly authority_days=7300 identity_days=1095

command -v openssl >/dev/null || { echo "install openssl on this computer: it makes Kafka's certificates" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve; }

# The common name of a certificate, without the settings of this computer.
settings() { printf '[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = %s\n[v3]\n' "$1"; }

kind=$1
shift
new_key >key.pem
if [[ $kind == authority ]]; then
  {
    settings argus-kafka
    printf '%s\n' 'basicConstraints = critical, CA:TRUE, pathlen:0' 'keyUsage = critical, keyCertSign' \
      'subjectKeyIdentifier = hash'
  } >openssl.cnf
  openssl req -new -x509 -sha256 -key key.pem -days "$authority_days" -config openssl.cnf -extensions v3 \
    -out certificate.pem
  cat certificate.pem key.pem
else
  name=$1
  shift
  cat >authority.pem
  {
    settings "$name"
    printf '%s\n' 'basicConstraints = critical, CA:FALSE' 'keyUsage = critical, digitalSignature' \
      'extendedKeyUsage = clientAuth, serverAuth' 'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid'
    hosts=$(printf ',DNS:%s' "$@")
    if (($#)); then printf 'subjectAltName = %s\n' "${hosts#,}"; fi
  } >openssl.cnf
  openssl req -new -sha256 -key key.pem -config openssl.cnf -out request
  openssl x509 -req -sha256 -in request -CA authority.pem -CAkey authority.pem -set_serial "0x$(openssl rand -hex 16)" \
    -days "$identity_days" -extfile openssl.cnf -extensions v3 -out certificate.pem
  openssl x509 -in authority.pem -out ca.pem
  # At last, because Pulumi shows what a command that fails has printed.
  cat key.pem certificate.pem ca.pem
fi
