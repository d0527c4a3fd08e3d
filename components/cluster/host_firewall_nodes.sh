#!/usr/bin/env bash
# Prints `address role` of every machine of the stack, and `address role leaving` of every other node: one that is about to
# leave is needed until it has left.
: "${MACHINES:?}" # `address role` of a machine per line
nodes=$(until_true 60 nodes_by_role) || die "the API server does not answer"
awk 'NR == FNR { print; known[$1]; next } NF && !($1 in known) { print $1, $2, "leaving" }' <(echo "$MACHINES") - <<<"$nodes"
