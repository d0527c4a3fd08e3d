#!/bin/bash
# The official image's entry point: `docker-entrypoint.sh eswrapper` starts the node; anything else is run as it is.
# ES_JAVA_OPTS are words for the JVM; variables named like settings (with a dot) become settings, as in the official image.
set -euo pipefail

if [ "${1:-eswrapper}" != eswrapper ]; then
    exec "$@"
fi

home=/usr/share/elasticsearch
settings=()
while IFS= read -r -d '' variable; do
    # Security is not in this build, and a node refuses settings that it does not know.
    if [[ $variable =~ ^[a-z0-9_]+(\.[a-z0-9_]+)+= && $variable != xpack.* ]]; then
        settings+=("-E$variable")
    fi
done < <(env --null)

# Sized for a share of a core: one collector thread and the quick compiler only. Each may be overridden by ES_JAVA_OPTS.
tuning=(-Xss1m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=64m -XX:+ExitOnOutOfMemoryError)
# The JVM takes a share of the memory only where no amount is given.
[[ ${ES_JAVA_OPTS:-} == *-XX:MaxRAMPercentage=* ]] || tuning+=(-Xms512m -Xmx512m)
# Netty without Unsafe and without its own recycler, as the stock launcher has it; libvec is not in Maven Central.
node=(
    -XX:-OmitStackTraceInFastThrow -XX:-UsePerfData
    "-Djava.io.tmpdir=${ES_TMPDIR:-/tmp}" -Djava.awt.headless=true -Dfile.encoding=UTF-8 -Djava.locale.providers=CLDR
    -Des.networkaddress.cache.ttl=60 -Des.networkaddress.cache.negative.ttl=10
    -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true -Dio.netty.recycler.maxCapacityPerThread=0
    -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true -Dlog4j2.formatMsgNoLookups=true
    -Des.distribution.type=docker "-Des.path.home=$home" "-Des.path.conf=${ES_PATH_CONF:-$home/config}"
    "-Des.nativelibs.path=$home/lib/platform" -Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false
)
modules=(
    '--enable-native-access=org.elasticsearch.nativeaccess,org.elasticsearch.foreign,org.apache.lucene.core'
    '--add-modules=jdk.incubator.vector,jdk.net,jdk.management,ALL-MODULE-PATH'
    --module-path "$home/lib" -cp "$home/argus-launcher.jar"
)
# shellcheck disable=SC2086 # ES_JAVA_OPTS holds words
exec java "${tuning[@]}" "${node[@]}" ${ES_JAVA_OPTS:-} "${modules[@]}" argus.elasticsearch.Launcher "${settings[@]}"
