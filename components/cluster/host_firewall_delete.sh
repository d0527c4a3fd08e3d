#!/usr/bin/env bash
# Takes the host firewall out.
open_ports
