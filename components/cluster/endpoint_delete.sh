#!/usr/bin/env bash
# Gives the virtual IP up and puts the services' own configuration back.
systemctl stop keepalived.service haproxy.service 2>/dev/null || true
restore /etc/keepalived/keepalived.conf /etc/haproxy/haproxy.cfg
restore_unit keepalived.service
restore_unit haproxy.service
