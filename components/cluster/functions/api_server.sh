#!/usr/bin/env bash
# This machine's API server, by its own port.

# api_server_serves: whether it is ready.
api_server_serves() { curl -ksf --max-time 2 -o /dev/null https://localhost:6443/readyz; }

# restart_api_server: ends this machine's API server, and waits until another one runs and is ready.
restart_api_server() {
  local process
  process=$(pgrep -o -f '^kube-apiserver ') || true
  pkill -f '^kube-apiserver ' || true
  until_true 240 api_server_after "$process"
}

# api_server_after PROCESS: whether an API server runs that is not this process, and is ready.
api_server_after() {
  [[ $(pgrep -o -f '^kube-apiserver ' || true) != "$1" ]] && api_server_serves
}
