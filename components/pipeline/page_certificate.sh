#!/usr/bin/env bash
# page_certificate.sh authority: print a new private key and its certificate as an authority, as PEM.
# page_certificate.sh page DAYS NAME... <AUTHORITY: print a new private key and a certificate of a page at these names (DNS
# names or IPv4 addresses) that the authority signed, as PEM.
# The operator's computer may have LibreSSL as its `openssl`, so only what both have is used.
set -euo pipefail
umask 077

readonly authority_days=7300

command -v openssl >/dev/null || { echo "install openssl on this computer: it makes the page's certificate" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve; }

# The subject, without the settings of this computer.
subject() { printf '[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nO = Argus\nCN = %s\n[v3]\n' "$1"; }

kind=$1
shift
new_key >key.pem
case $kind in
  authority)
    # A word of its own, so that a browser can tell two stacks' authorities apart.
    {
      subject "Argus $(openssl rand -hex 4)"
      printf '%s\n' 'basicConstraints = critical, CA:TRUE, pathlen:0' 'keyUsage = critical, keyCertSign' \
        'subjectKeyIdentifier = hash'
    } >settings
    openssl req -new -x509 -sha256 -key key.pem -days "$authority_days" -config settings -extensions v3 >certificate.pem
    ;;
  page)
    days=$1
    shift
    cat >authority.pem
    names=
    for name in "$@"; do
      if [[ $name =~ ^[0-9.]+$ ]]; then names+=",IP:$name"; else names+=",DNS:$name"; fi
    done
    {
      subject "Argus' page"
      printf '%s\n' 'basicConstraints = critical, CA:FALSE' 'keyUsage = critical, digitalSignature' \
        'extendedKeyUsage = serverAuth' 'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid' \
        "subjectAltName = ${names#,}"
    } >settings
    openssl req -new -sha256 -key key.pem -config settings -out request
    openssl x509 -req -sha256 -in request -CA authority.pem -CAkey authority.pem -set_serial "0x$(openssl rand -hex 16)" \
      -days "$days" -extfile settings -extensions v3 2>/dev/null >certificate.pem
    ;;
esac
cat key.pem certificate.pem
