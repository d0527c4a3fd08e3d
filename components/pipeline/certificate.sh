#!/usr/bin/env bash
# certificate.sh authority: print a new private key and a certificate of an authority, as PEM.
# certificate.sh identity NAME [HOST...] <AUTHORITY: print a new private key, a certificate for NAME, as which it shows
# itself to servers and, at these HOSTs, to clients, and the authority's certificate, as PEM.
set -euo pipefail
umask 077
# shellcheck source=components/pipeline/openssl.sh
source "${BASH_SOURCE[0]%/*}/openssl.sh"

kind=$1
shift
in_a_folder_of_its_own "Kafka's certificates"
new_key
if [[ $kind == authority ]]; then
  new_authority 'CN = argus-kafka'
  cat certificate.pem key.pem
else
  cat >authority.pem
  new_certificate 1095 "CN = $1" 'clientAuth, serverAuth' "${@:2}"
  openssl x509 -in authority.pem -out ca.pem
  # At last, because Pulumi shows what a command that fails has printed.
  cat key.pem certificate.pem ca.pem
fi
