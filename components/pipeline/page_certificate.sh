#!/usr/bin/env bash
# page_certificate.sh authority: print a new private key and its certificate as an authority, as PEM.
# page_certificate.sh page DAYS NAME... <AUTHORITY: print a new private key and a certificate of a page at these names (DNS
# names or IPv4 addresses) that the authority signed, as PEM.
set -euo pipefail
umask 077
# shellcheck source=components/pipeline/openssl.sh
source "${BASH_SOURCE[0]%/*}/openssl.sh"

kind=$1
shift
in_a_folder_of_its_own "the page's certificate"
new_key
case $kind in
  # A word of its own, so that a browser can tell two stacks' authorities apart.
  authority) new_authority "O = Argus"$'\n'"CN = Argus $(openssl rand -hex 4)" ;;
  page)
    cat >authority.pem
    new_certificate "$1" "O = Argus"$'\n'"CN = Argus' page" serverAuth "${@:2}"
    ;;
esac
cat key.pem certificate.pem
