#!/usr/bin/env bash
# Gives the virtual IP up and puts the services' own configuration back.
systemctl disable -q --now keepalived.service haproxy.service 2>/dev/null || true
restore /etc/keepalived/keepalived.conf /etc/haproxy/haproxy.cfg
