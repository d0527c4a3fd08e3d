#!/usr/bin/env bash
# Prints (a secret) the administrator's kubeconfig; its server is the endpoint. It is read again every quarter of a year:
# its certificate lives one, and is renewed before that.
: "${QUARTER:?}"
cat /etc/kubernetes/admin.conf
