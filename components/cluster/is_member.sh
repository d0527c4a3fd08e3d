#!/usr/bin/env bash
# Prints whether this machine is a node.
if is_member; then echo yes; else echo no; fi
