#!/usr/bin/env bash
# certificate.sh authority [NAME]: print a certificate of a new authority, and its private key, as PEM.
# certificate.sh identity NAME [HOST...] <AUTHORITY: print a new private key, a certificate for NAME, as which it shows
# itself to servers and, at these HOSTs, to clients, and the authority's certificate, as PEM.
# certificate.sh server NAME HOST... <AUTHORITY: the same, but only to clients.
set -euo pipefail
umask 077
# shellcheck source=components/pipeline/openssl.sh
source "${BASH_SOURCE[0]%/*}/openssl.sh"

kind=$1
shift
in_a_folder_of_its_own "the certificates of the stack's services"
new_key
if [[ $kind == authority ]]; then
  new_authority "CN = ${1:-argus-kafka}"
  cat certificate.pem key.pem
else
  declare -A usages=([identity]='clientAuth, serverAuth' [server]=serverAuth)
  cat >authority.pem
  new_certificate 1095 "CN = $1" "${usages[$kind]}" "${@:2}"
  openssl x509 -in authority.pem -out ca.pem
  # At last, because Pulumi shows what a command that fails has printed.
  cat key.pem certificate.pem ca.pem
fi
