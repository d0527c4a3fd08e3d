#!/bin/sh
# Runs a class of Kafka's with the same variables as the official script: kafka-run-class.sh CLASS [ARGUMENT...]
# KAFKA_HEAP_OPTS, KAFKA_OPTS, KAFKA_JVM_PERFORMANCE_OPTS and KAFKA_LOG4J_OPTS are words for the JVM.
set -eu

home=$(cd "$(dirname "$0")/.." && pwd)
# Made for a few hundred messages a second on a share of a core: one collector thread, the quick compiler only
# (the optimising one costs more processor time at the start than it saves at this rate), little reserved memory.
: "${KAFKA_JVM_PERFORMANCE_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=48m -Xss512k -XX:+ExitOnOutOfMemoryError}"
: "${KAFKA_LOG4J_OPTS=-Dlog4j.configuration=file:$home/config/log4j.properties}"

# shellcheck disable=SC2086 # each variable holds words
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} $KAFKA_JVM_PERFORMANCE_OPTS -Djava.awt.headless=true -XX:-UsePerfData \
    $KAFKA_LOG4J_OPTS ${KAFKA_OPTS:-} -cp "${CLASSPATH:+$CLASSPATH:}$home/libs/*" "$@"
