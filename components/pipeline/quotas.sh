#!/usr/bin/env bash
# quotas.sh FILE: give Kafka's users the quotas of FILE, a line each: NAME KEY=VALUE,...; and no other user any, nor the
# default user. Quotas of client IDs and of addresses stay as they are.
# Each Kafka tool is a JVM: list once, act only on what differs.
set -euo pipefail

readonly file=$1 default='<default>'
: "${BOOTSTRAP_SERVERS:?}"
# COMMAND_CONFIG: the file with the settings of a client that shows a certificate; unset: it connects in plain.
client=()
if [[ -n ${COMMAND_CONFIG:-} ]]; then client=(--command-config "$COMMAND_CONFIG"); fi
readonly client

configs() {
  /opt/kafka/bin/kafka-configs.sh --bootstrap-server "$BOOTSTRAP_SERVERS" "${client[@]}" --entity-type users "$@" </dev/null
}

# KEY=VALUE,...: the same with numbers as whoever writes them, because Kafka shows 1.0E7 for 10000000, in one order.
normal() {
  tr ',' '\n' <<<"$1" | tr -d ' ' | awk -F= 'NF == 2 { printf "%s=%.15g\n", $1, $2 }' | sort | paste -sd, -
}

# HAVE WANTED: the names of the settings that are there and not wanted.
unwanted() {
  local setting
  local -a all
  IFS=, read -ra all <<<"$1"
  for setting in "${all[@]}"; do
    [[ ,$2 == *",${setting%%=*}="* ]] || printf '%s\n' "${setting%%=*}"
  done | paste -sd, -
}

# NAME HAVE WANTED
change() {
  local -a arguments=(--entity-name "$1")
  local gone
  [[ $1 != "$default" ]] || arguments=(--entity-default)
  gone=$(unwanted "$2" "$3")
  [[ -z $3 ]] || arguments+=(--add-config "$3")
  [[ -z $gone ]] || arguments+=(--delete-config "$gone")
  configs --alter "${arguments[@]}"
}

declare -A have wanted
described=$(configs --describe)
while IFS=$'\t' read -r name settings; do
  [[ -z $name ]] || have[$name]=$(normal "$settings")
done < <(sed -n -e "s/^Quota configs for user-principal '\(.*\)' are \(.*\)/\1\t\2/p" \
  -e "s/^Quota configs for the default user-principal are \(.*\)/$default\t\1/p" <<<"$described")
while read -r name settings; do
  wanted[$name]=$(normal "$settings")
done <"$file"

for name in "${!wanted[@]}"; do
  [[ ${have[$name]:-} == "${wanted[$name]}" ]] || change "$name" "${have[$name]:-}" "${wanted[$name]}"
done
for name in "${!have[@]}"; do
  [[ -n ${wanted[$name]:-} ]] || change "$name" "${have[$name]}" ''
done
