#!/bin/sh
# Starts a broker in the foreground: kafka-server-start.sh FILE [--override NAME=VALUE]...
set -eu
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xms512m -Xmx512m}"
exec "$(dirname "$0")/kafka-run-class.sh" kafka.Kafka "$@"
