#!/bin/sh
# Makes a certificate for a name in a folder, its own authority: of this pod alone, and gone with it.
set -eu

folder=$1 name=$2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
    -subj "/CN=$name" -addext "subjectAltName=DNS:$name" -keyout "$folder/tls.key" -out "$folder/tls.crt"
