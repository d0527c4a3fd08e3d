#!/usr/bin/env bash
# The HTTP proxies through which a machine downloads. PROXY is empty or has lines `http_proxy=URL`, `https_proxy=URL` and
# `no_proxy=LIST`, whose last entry is this machine's own address.

# proxy_variables: prints the lines of PROXY; what is in the machine's own network is reached without a proxy too. The
# network is read here, because a list of all machines would change on each of them when one is added.
proxy_variables() {
  local line
  while IFS= read -r line; do
    if [[ $line == no_proxy=* ]]; then
      line+=$(ip -4 route show proto kernel scope link src "${line##*,}" | awk '{ printf ",%s", $1 }')
    fi
    echo "$line"
  done <<<"$PROXY"
}

# through_proxy: lets the apt-get and curl that this script calls use the proxies; apt's own configuration counts more.
through_proxy() {
  local line name
  [[ $PROXY ]] || return 0
  while IFS= read -r line; do
    name=${line%%=*}
    export "${line?}" "${name^^}=${line#*=}"
  done < <(proxy_variables)
}

# proxy_of_service: prints a drop-in that gives the proxies to a systemd service; nothing where there are none.
proxy_of_service() {
  local line name
  [[ $PROXY ]] || return 0
  echo '[Service]'
  while IFS= read -r line; do
    name=${line%%=*}
    echo "Environment=\"${name^^}=${line#*=}\""
  done < <(proxy_variables)
}
