#!/bin/sh
# Runs a ZooKeeper server: zkServer.sh start-foreground [FILE]. JVMFLAGS and SERVER_JVMFLAGS are words for the JVM.
set -eu

if [ "${1:-}" != start-foreground ]; then
    echo "usage: zkServer.sh start-foreground [FILE]" >&2
    exit 2
fi
home=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# A few writes a second: one collector thread and the quick compiler keep its share of a core near nothing.
: "${ZK_JVM_PERFORMANCE_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=24m -Xss512k -XX:+ExitOnOutOfMemoryError}"
# shellcheck disable=SC2086 # each variable holds words
exec java $ZK_JVM_PERFORMANCE_OPTS -Xmx128m -Djava.awt.headless=true -XX:-UsePerfData -Dzookeeper.jmx.log4j.disable=true \
    -Dlogback.configurationFile="$home/conf/logback.xml" ${JVMFLAGS:-} ${SERVER_JVMFLAGS:-} \
    -cp "$home/lib/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "${2:-/conf/zoo.cfg}"
