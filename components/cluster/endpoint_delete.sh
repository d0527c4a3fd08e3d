#!/usr/bin/env bash
# Releases the virtual IP and restores the services' original configuration.
systemctl stop keepalived.service haproxy.service 2>/dev/null || true
restore /etc/keepalived/keepalived.conf /etc/haproxy/haproxy.cfg /etc/iproute2/rt_addrprotos.d/keepalived.conf
rmdir --ignore-fail-on-non-empty /etc/iproute2/rt_addrprotos.d 2>/dev/null || true
restore_unit keepalived.service
restore_unit haproxy.service
