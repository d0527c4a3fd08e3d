#!/bin/sh
# Asks each broker what it speaks.
set -eu
export KAFKA_LOG4J_OPTS="${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$(dirname "$0")/../config/tools-log4j.properties}"
exec "$(dirname "$0")/kafka-run-class.sh" kafka.admin.BrokerApiVersionsCommand "$@"
