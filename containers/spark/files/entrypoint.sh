#!/bin/bash
# Entry point of the Spark image. `driver` checks that the model runs and then runs its job in client mode. `executor`
# is what Spark's Kubernetes scheduler starts, with its SPARK_… variables. Anything else is run as a command.
set -euo pipefail

java_options() {
    # SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, … in the order of their numbers.
    local index=0 name
    while name="SPARK_JAVA_OPT_${index}" && [[ -n "${!name+set}" ]]; do
        printf '%s\n' "${!name}"
        index=$((index + 1))
    done
}

driver() {
    python -m apps.spark_jobs.check
    exec python -m apps.spark_jobs "$@"
}

executor() {
    local options
    mapfile -t options < <(java_options)
    # Spark reads the file with the application's secret only where its master is Kubernetes, and an executor, which needs
    # the secret to ask the driver anything, is not told its master.
    exec java "${options[@]}" -Dspark.master=k8s://https://kubernetes.default.svc \
        -Xms"${SPARK_EXECUTOR_MEMORY}" -Xmx"${SPARK_EXECUTOR_MEMORY}" \
        -cp "${SPARK_EXTRA_CLASSPATH:+${SPARK_EXTRA_CLASSPATH}:}${SPARK_HOME}/conf:${SPARK_HOME}/jars/*" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "${SPARK_DRIVER_URL}" \
        --executor-id "${SPARK_EXECUTOR_ID}" \
        --cores "${SPARK_EXECUTOR_CORES}" \
        --app-id "${SPARK_APPLICATION_ID}" \
        --hostname "${SPARK_EXECUTOR_POD_IP}" \
        --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID}" \
        --podName "${SPARK_EXECUTOR_POD_NAME}"
}

case "${1:-}" in
    driver) shift && driver "$@" ;;
    executor) executor ;;
    *) exec "$@" ;;
esac
