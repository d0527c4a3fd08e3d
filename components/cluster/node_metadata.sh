#!/usr/bin/env bash
# Sets the given labels and taints, and removes those that it set earlier and that are no longer given; an annotation of
# the node records what Argus set. METADATA has one line per node:
# `name machine [label key=value | taint key=value:Effect]...`; a changed second word makes this run again.
: "${METADATA:?}"

# identity label KEY=VALUE, identity taint KEY=VALUE:EFFECT: what there is one of on a node.
identity() { if [[ $1 == label ]]; then echo "${2%%=*}"; else echo "${2%%[=:]*}:${2##*:}"; fi; }
noted() { admin get node "$1" -o jsonpath='{.metadata.annotations.argus\.dev/metadata}'; }

while read -r node _ given; do
  before=$(until_true 30 noted "$node") || die "the API server does not answer, or knows no node $node"
  [[ $before != "$given" ]] || continue
  read -ra words <<<"$given"
  read -ra old <<<"$before"
  kept=" "
  for ((i = 0; i + 1 < ${#words[@]}; i += 2)); do kept+="$(identity "${words[@]:i:2}") "; done
  for ((i = 0; i + 1 < ${#old[@]}; i += 2)); do
    gone=$(identity "${old[@]:i:2}")
    [[ $kept == *" $gone "* ]] || admin "${old[i]}" node "$node" "$gone-"
  done
  for ((i = 0; i + 1 < ${#words[@]}; i += 2)); do admin "${words[i]}" node "$node" "${words[i + 1]}" --overwrite; done
  admin annotate node "$node" --overwrite "argus.dev/metadata=$given"
done <<<"$METADATA"
