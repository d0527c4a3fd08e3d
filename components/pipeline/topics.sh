#!/usr/bin/env bash
# topics.sh FILE: bring Kafka's topics to what FILE declares, a line each: NAME PARTITIONS REPLICATION KEY=VALUE,...
# Creates, adds partitions, alters settings; never deletes. Each Kafka tool is a JVM: list once, act only on what differs.
# Kafka cannot take partitions away, so a topic that has more than declared keeps them. Results are written to the
# partition of their frame: a topic declared with as many partitions as the first, the frames, gets as many as that has.
set -euo pipefail

readonly file=$1
readonly kafka=/opt/kafka/bin
: "${BOOTSTRAP_SERVERS:?}"
# COMMAND_CONFIG: the file with the settings of a client that shows a certificate; unset: it connects in plain.
client=()
if [[ -n ${COMMAND_CONFIG:-} ]]; then client=(--command-config "$COMMAND_CONFIG"); fi
readonly client

described=$("$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" "${client[@]}" --describe)

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

# SETTINGS DECLARED ACTUAL: the settings of a topic with more partitions than declared, which share the declared bytes.
shared() {
  local -a all
  local i key least=0 bytes
  IFS=, read -ra all <<<"$1"
  for i in "${all[@]}"; do [[ $i != max.message.bytes=* ]] || least=${i#*=}; done
  for i in "${!all[@]}"; do
    key=${all[i]%%=*}
    [[ $key == retention.bytes || $key == segment.bytes ]] || continue
    bytes=$((${all[i]#*=} * $2 / $3))
    # A segment must hold the largest record.
    all[i]=$key=$((bytes > least ? bytes : least))
  done
  (IFS=, && printf '%s' "${all[*]}")
}

first_declared='' first_has=0
while read -r name partitions replication settings; do
  [[ -n $name ]] || continue
  [[ $settings != - ]] || settings=
  have=$(partitions_of "$name")
  : "${first_declared:=$partitions}"
  declared=$partitions
  if ((have > partitions)); then
    echo "$name keeps its $have partitions: Kafka cannot reduce them to $partitions" >&2
    partitions=$have
  fi
  if ((declared == first_declared && first_has > partitions)); then partitions=$first_has; fi
  if ((first_has == 0)); then first_has=$partitions; fi
  if ((partitions > declared)) && [[ -n $settings ]]; then settings=$(shared "$settings" "$declared" "$partitions"); fi
  if [[ -z $have ]]; then
    echo "creating $name: $partitions partitions, $replication replicas"
    configs=()
    if [[ -n $settings ]]; then
      IFS=, read -ra pairs <<<"$settings"
      for pair in "${pairs[@]}"; do configs+=(--config "$pair"); done
    fi
    "$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" "${client[@]}" --create --if-not-exists --topic "$name" \
      --partitions "$partitions" --replication-factor "$replication" "${configs[@]}" </dev/null
    continue
  fi
  if ((have < partitions)); then
    echo "raising $name from $have to $partitions partitions"
    "$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" "${client[@]}" --alter --topic "$name" --partitions "$partitions" </dev/null
  fi
  if [[ -n $settings ]] && ! has_settings "$(settings_of "$name")" "$settings"; then
    echo "altering the settings of $name"
    "$kafka/kafka-configs.sh" --bootstrap-server "$BOOTSTRAP_SERVERS" "${client[@]}" --alter --entity-type topics --entity-name "$name" \
      --add-config "$settings" </dev/null
  fi
done <"$file"
