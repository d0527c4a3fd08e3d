#!/usr/bin/env bash
# Prints (a secret) the administrator's kubeconfig; its server is the endpoint.
cat /etc/kubernetes/admin.conf
