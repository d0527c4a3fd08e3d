#!/usr/bin/env bash
# How this machine reaches others.

# way_problem OWN <addresses: prints what is wrong with the way to one of these addresses, which others expect this machine to
# take under its address OWN; nothing if all ways are right.
way_problem() {
  local address way from
  while read -r address; do
    [[ $address && $address != "$1" ]] || continue
    if ! way=$(LC_ALL=C ip -4 -o route get "$address" 2>&1); then
      echo "has no route to $address (${way##*: }): bring its network link up, or give it a route there" && return
    fi
    from=$(sed -n 's/.* src \([^ ]*\) .*/\1/p' <<<"$way ")
    if [[ $from != "$1" ]]; then
      echo "sends to $address from $from and not from its own address, $1, and the other machines let only that in: make $1" \
        "the first address of its network link" && return
    fi
  done
}
