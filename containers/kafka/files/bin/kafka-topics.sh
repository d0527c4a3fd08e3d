#!/bin/sh
# Makes, lists, changes and deletes topics.
set -eu
export KAFKA_LOG4J_OPTS="${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$(dirname "$0")/../config/tools-log4j.properties}"
exec "$(dirname "$0")/kafka-run-class.sh" org.apache.kafka.tools.TopicCommand "$@"
