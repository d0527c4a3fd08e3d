#!/usr/bin/env bash
# Prints the administrator's kubeconfig (secret); its server is the endpoint. It is read again every quarter, because its
# certificate is valid for a year and is renewed before that.
: "${QUARTER:?}"
cat /etc/kubernetes/admin.conf
