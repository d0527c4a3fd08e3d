#!/usr/bin/env bash
# Functions for scripts that make keys and certificates (PEM) with the `openssl` of the operator's computer, which may
# be LibreSSL's, so only what both have is used. They work in a folder that goes with the script.

set -euo pipefail

# in_a_folder_of_its_own WHAT: begin; WHAT is named where there is no openssl.
in_a_folder_of_its_own() {
  command -v openssl >/dev/null || { echo "install openssl on this computer: it makes $1" >&2; exit 1; }
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cd "$folder"
}

# A new private key, key.pem.
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve >key.pem; }

# settings SUBJECT EXTENSION...: the lines of a request, without the settings of this computer.
settings() {
  printf '[req]\ndistinguished_name = dn\nprompt = no\n[dn]\n%s\n[v3]\n' "$1"
  printf '%s\n' 'subjectKeyIdentifier = hash' "${@:2}"
}

# new_authority SUBJECT: certificate.pem of key.pem, which may sign others for twenty years.
new_authority() {
  settings "$1" 'basicConstraints = critical, CA:TRUE, pathlen:0' 'keyUsage = critical, keyCertSign' >openssl.cnf
  openssl req -new -x509 -sha256 -key key.pem -days 7300 -config openssl.cnf -extensions v3 -out certificate.pem
}

# new_certificate DAYS SUBJECT USAGES [NAME...]: certificate.pem of key.pem, signed by the authority (its certificate and
# key) in authority.pem, good at these DNS names and IPv4 addresses.
new_certificate() {
  local days=$1 subject=$2 name names=
  local extensions=('basicConstraints = critical, CA:FALSE' 'keyUsage = critical, digitalSignature'
    "extendedKeyUsage = $3" 'authorityKeyIdentifier = keyid')
  shift 3
  for name in "$@"; do
    if [[ $name =~ ^[0-9.]+$ ]]; then names+=",IP:$name"; else names+=",DNS:$name"; fi
  done
  if [[ $names ]]; then extensions+=("subjectAltName = ${names#,}"); fi
  settings "$subject" "${extensions[@]}" >openssl.cnf
  openssl req -new -sha256 -key key.pem -config openssl.cnf -out request
  openssl x509 -req -sha256 -in request -CA authority.pem -CAkey authority.pem -set_serial "0x$(openssl rand -hex 16)" \
    -days "$days" -extfile openssl.cnf -extensions v3 -out certificate.pem
}
