#!/bin/sh
# Sends lines of standard input to a topic.
set -eu
export KAFKA_LOG4J_OPTS="${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$(dirname "$0")/../config/tools-log4j.properties}"
exec "$(dirname "$0")/kafka-run-class.sh" kafka.tools.ConsoleProducer "$@"
