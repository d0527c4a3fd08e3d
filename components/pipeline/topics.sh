#!/usr/bin/env bash
# topics.sh FILE: bring Kafka's topics to what FILE declares, a line each: NAME PARTITIONS REPLICATION KEY=VALUE,...
# Creates, adds partitions, alters settings; never deletes. Exits 2 where that is not enough. Each Kafka tool is a JVM: list once, act only on what differs.
set -euo pipefail

readonly file=$1
readonly kafka=/opt/kafka/bin
: "${BOOTSTRAP_SERVERS:?}"

described=$("$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --describe)

# The number of partitions of a topic, nothing where it does not exist.
partitions_of() {
  awk -v name="$1" '$1 == "Topic:" && $2 == name { for (i = 3; i < NF; i++) if ($i == "PartitionCount:") { print $(i + 1); exit } }' <<<"$described"
}

# The settings of a topic as Kafka shows them, `key=value,...`.
settings_of() {
  awk -v name="$1" '$1 == "Topic:" && $2 == name && /Configs:/ { sub(/.*Configs:[ \t]*/, ""); print; exit }' <<<"$described"
}

# Every wanted setting is among those that the topic has.
has_settings() {
  local have=",$1," setting
  local -a wanted
  IFS=, read -ra wanted <<<"$2"
  for setting in "${wanted[@]}"; do
    [[ $have == *",$setting,"* ]] || return 1
  done
}

failed=0
while read -r name partitions replication settings; do
  [[ -n $name ]] || continue
  [[ $settings != - ]] || settings=
  have=$(partitions_of "$name")
  if [[ -z $have ]]; then
    echo "creating $name: $partitions partitions, $replication replicas"
    configs=()
    if [[ -n $settings ]]; then
      IFS=, read -ra pairs <<<"$settings"
      for pair in "${pairs[@]}"; do configs+=(--config "$pair"); done
    fi
    "$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --create --if-not-exists --topic "$name" \
      --partitions "$partitions" --replication-factor "$replication" "${configs[@]}" </dev/null
    continue
  fi
  if ((have > partitions)); then
    echo "error: topic $name has $have partitions and the stack wants $partitions; Kafka cannot take partitions away: set kafka.partitions to $have or more" >&2
    failed=2
    continue
  fi
  if ((have < partitions)); then
    echo "raising $name from $have to $partitions partitions"
    "$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --alter --topic "$name" --partitions "$partitions" </dev/null
  fi
  if [[ -n $settings ]] && ! has_settings "$(settings_of "$name")" "$settings"; then
    echo "altering the settings of $name"
    "$kafka/kafka-configs.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" --alter --entity-type topics --entity-name "$name" \
      --add-config "$settings" </dev/null
  fi
done <"$file"
exit "$failed"
