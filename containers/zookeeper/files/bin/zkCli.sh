#!/bin/sh
# ZooKeeper's own client: zkCli.sh [-server HOST:PORT] [COMMAND...]
set -eu
home=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dzookeeper.log.level=WARN -Dlogback.configurationFile="$home/conf/logback.xml" \
    -cp "$home/lib/*" org.apache.zookeeper.ZooKeeperMain "$@"
