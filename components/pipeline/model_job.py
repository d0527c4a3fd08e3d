"""A model, or several together: one Spark application on Kubernetes, whose driver creates its own executors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import pulumi
from pulumi_kubernetes import coordination, core, rbac

from apps.messages.names import FRAMES_TOPIC, REJECTED_TOPIC, model_group, results_topic
from components import drawn
from components import kubernetes as k
from components.config import Settings, sections
from components.images import APP, Image
from components.pipeline.applications import ROLES, job_name, labels_of, pods_of
from components.pipeline.driver_policy import ACCOUNT, SECRET, DriverPolicy, DriverPolicyArgs
from components.pipeline.kafka import Kafka
from components.pipeline.scraping import Scraped
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics

DRIVER_PORT, BLOCK_PORT = 7078, 7079
HEAP_MIB = 256
"""Java heap of driver and executor. Frames only pass through it; the model and the images are in Python processes."""

EXECUTOR_CPU: Final = "0.5"
"""CPU request without a limit: with less, a busy machine leaves the model too little CPU to keep up."""

MAX_OFFSETS_PER_TASK: Final = 400
"""Small enough that a batch takes seconds even with a backlog: stopping and scaling wait for the end of a batch."""

STALL_SECONDS, BATCH_SECONDS = 600, 400
"""A driver that completes no batch for STALL_SECONDS plus the time limit of one call of user code is restarted.
BATCH_SECONDS is the longest that a batch with user code may take."""


@dataclass(frozen=True, kw_only=True)
class ModelJobArgs:
    """Arguments of ModelJob; `max_message_bytes` is Kafka's limit on the size of a record.

    `models` are those of one application; what they share is as the first one says, after which it is named.
    The models look at every frame of `ungated_cameras`, even those that have a gate.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    topics: pulumi.Input[str]
    """Any string that is there once the topics are, and only then. It must not be in what is never changed: a job that
    is deleted before it is made anew would take that along."""
    models: Sequence[sections.Model]
    max_message_bytes: int
    ungated_cameras: Sequence[str]
    secrets: sections.PodSecrets
    policy: pulumi.Input[str]
    """The name of the admission policy (DriverPolicy), which is there before a driver may make pods."""
    scraped: Scraped
    """What the driver needs to answer metrics."""
    identity: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """The files of the application's certificate for Kafka, for its Secret; none where it connects in plain."""

    @property
    def first(self) -> sections.Model:
        """The model that the application is named after."""
        return self.models[0]


CHECKPOINT: Final = {
    "spark.sql.streaming.minBatchesToRetain": "2",
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}
"""Nothing reads the query's checkpoint, since progress is in Kafka, but Spark writes two files for each batch. Without
checksums these stay two, and this manager starts no `readlink` for each: both took a third of a batch's CPU."""


SECRET_FILE: Final = f"{k.SECRETS_DIR}/rpc"

AUTHENTICATION: Final = {
    "spark.authenticate": "true",
    # On Kubernetes without a file, the secret would be an environment variable in the executors' pods, which everybody
    # reads who may list pods.
    "spark.authenticate.secret.file": SECRET_FILE,
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.authEngineVersion": "2",
    # The default (AES/CTR) encrypts without noticing changes.
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    "spark.network.crypto.saslFallback": "false",
}
"""Whoever connects to a driver or an executor proves that it knows the application's secret before anything that it
sends is deserialized (ADR 34)."""


def spark_properties(name: str, namespace: str, image: str, args: ModelJobArgs) -> str:
    """Spark's configuration. The entry point adds the driver's address and pod name (the executors' owner)."""
    java = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xss512k -XX:ReservedCodeCacheSize=48m"
    properties: dict[str, Any] = {
        "spark.master": "k8s://https://kubernetes.default.svc",
        "spark.submit.deployMode": "client",
        "spark.app.name": name,
        "spark.kubernetes.namespace": namespace,
        "spark.kubernetes.container.image": image,
        "spark.kubernetes.container.image.pullPolicy": "IfNotPresent",
        "spark.kubernetes.executor.podTemplateFile": f"{k.CONFIG_DIR}/executor.yaml",
        "spark.kubernetes.executor.podTemplateContainerName": "executor",
        "spark.kubernetes.authenticate.executor.serviceAccountName": ACCOUNT,
        "spark.kubernetes.executor.disableConfigMap": "true",
        "spark.kubernetes.executor.deleteOnTermination": "true",
        "spark.kubernetes.executor.request.cores": EXECUTOR_CPU,
        # The driver makes no volume claims, so it needs no permission for them.
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        # Poll rarely, because watches report changes; polling every second uses a fifth of a core.
        "spark.kubernetes.allocation.batch.delay": "2s",
        "spark.kubernetes.executor.apiPollingInterval": "60s",
        "spark.kubernetes.executor.eventProcessingInterval": "2s",
        "spark.kubernetes.executor.missingPodDetectDelta": "60s",
        "spark.executor.instances": args.first.executors.minimum,
        "spark.executor.cores": args.first.cores_per_executor,
        "spark.driver.bindAddress": "0.0.0.0",
        "spark.driver.port": DRIVER_PORT,
        "spark.driver.blockManager.port": BLOCK_PORT,
        # For executors: the default is a random port, which no network policy can allow.
        "spark.blockManager.port": BLOCK_PORT,
        "spark.driver.memory": f"{HEAP_MIB}m",
        "spark.executor.memory": f"{HEAP_MIB}m",
        "spark.executor.memoryOverhead": f"{args.first.executor_memory_mib - HEAP_MIB}m",
        # Spark reserves 300 MiB of heap by default, more than the whole heap here.
        "spark.testing.reservedMemory": 32 * 2**20,
        "spark.driver.extraJavaOptions": java,
        "spark.executor.extraJavaOptions": java,
        "spark.pyspark.python": "/opt/venv/bin/python",
        "spark.pyspark.driver.python": "/opt/venv/bin/python",
        "spark.executorEnv.PYTHONPATH": "/opt/argus",
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.executorEnv.MALLOC_ARENA_MAX": "2",
        "spark.python.worker.reuse": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": args.first.batch_size,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.log.level": "WARN",
        "spark.cleaner.referenceTracking": "false",
        # The driver scales the executors: in a stream of small batches, none is idle long enough for Spark's own rule.
        "spark.dynamicAllocation.enabled": "false",
        "spark.speculation": "false",
        "spark.executor.heartbeatInterval": "20s",
        "spark.network.timeout": "120s",
        "spark.local.dir": "/tmp/spark",
        "spark.sql.warehouse.dir": "/tmp/spark/warehouse",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        **CHECKPOINT,
        "spark.sql.streaming.numRecentProgressUpdates": "2",
        "spark.sql.streaming.kafka.useDeprecatedOffsetFetching": "false",
        **AUTHENTICATION,
    }
    return properties_file(properties)


def properties_file(properties: Mapping[str, Any]) -> str:
    """The text of a file of Spark properties."""
    return "".join(f"{key} {value}\n" for key, value in properties.items())


def executor_template(model: str, secret: str) -> str:
    """The executors' pod template, as JSON (a subset of YAML). Spark adds image, arguments, resources and names.

    `secret` is the name of the application's Secret.
    """
    template = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": labels_of(model, "executor")},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # An executor has nothing to finish, and its replacement starts only once it is gone.
            "terminationGracePeriodSeconds": 5,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": k.USER,
                "runAsGroup": k.USER,
                "fsGroup": k.USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{condition}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": k.NODE_LOSS_SECONDS,
                }
                for condition in ("not-ready", "unreachable")
            ],
            "containers": [
                {
                    "name": "executor",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "tmp", "mountPath": "/tmp"},
                        {"name": "secrets", "mountPath": k.SECRETS_DIR, "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "secrets", "secret": {"secretName": secret, "defaultMode": 0o440}},
            ],
        },
    }
    return json.dumps(template, indent=2) + "\n"


def call_seconds(models: Sequence[sections.Model]) -> float:
    """The longest that the user code of all models may take for one frame (seconds)."""
    return sum(model.call_seconds for model in models if model.kind == "python")


def frames_per_task(models: Sequence[sections.Model]) -> int:
    """The number of frames that a task can process within BATCH_SECONDS if every call takes its full time limit."""
    longest = call_seconds(models)
    return max(1, int(BATCH_SECONDS / longest)) if longest else sys.maxsize


def settings_of(model: sections.Model) -> dict[str, Any]:
    """What the driver is told of each model (`ModelSettings`); unset keys of the stack are left out."""
    settings = {
        "model_name": model.name,
        "model_kind": model.kind,
        "results_topic": results_topic(model.name),
        "consumer_group": model_group(model.name),
        "weights": f"/opt/argus/weights/{model.name}",
        "size": model.size,
        "precision": model.precision,
        "device": model.device,
        "contract": model.contract.stated(),
        "labels": model.labels,
        "score_threshold": model.score_threshold,
        "score_thresholds": model.score_thresholds,
        "code": f"/opt/argus/code/{model.name}",
        "call_seconds": model.call_seconds,
        "call_memory_mib": model.call_memory_mib,
        "gate_seconds": model.gate_seconds,
        "overload_seconds": model.overload_seconds,
    }
    return {name: value for name, value in settings.items() if value is not None}


def environment_of(models: Sequence[sections.Model]) -> dict[str, str]:
    """The driver's environment variables that follow from the application's models alone."""
    first, *others = models
    settings = settings_of(first) | {
        "frames_topic": FRAMES_TOPIC,
        "rejected_topic": REJECTED_TOPIC,
        "trigger_seconds": first.trigger_seconds,
        "cores_per_executor": first.cores_per_executor,
        "minimum_executors": first.executors.minimum,
        "maximum_executors": first.executors.maximum,
        "target_lag_seconds": first.executors.target_lag_seconds,
        "cool_down_seconds": first.executors.cool_down_seconds,
        "batch_size": first.batch_size,
        "stall_seconds": STALL_SECONDS + call_seconds(models),
        "checkpoint": "/tmp/checkpoint",
        "http_port": k.HTTP_PORT,
    }
    if others:
        settings["further_models"] = [settings_of(each) for each in others]
    return {f"ARGUS_{name.upper()}": _variable(value) for name, value in settings.items()}


def _variable(value: Any) -> str:
    """The value of an environment variable: JSON for what is more than one word or number."""
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)


def driver_limit_mib(model: sections.Model) -> int:
    """Memory limit (MiB) of the driver's container, which first checks the models with the memory of an executor."""
    return max(model.driver_memory_mib, model.executor_memory_mib - HEAP_MIB)


class ModelJob(pulumi.ComponentResource):
    """The driver of one application, in client mode, with permission to manage its executors and nothing else.

    A new driver starts beside the old one, checks its models and waits; once it is ready, Kubernetes stops the old one,
    and the new one continues from there. If the new driver fails, the old one keeps working (ADR 16), because its
    ConfigMaps and its Secret are never changed. Progress is the groups' committed offsets in Kafka, so a driver may
    start on any node.
    """

    def __init__(self, name: str, args: ModelJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:ModelJob", name, None, opts)
        job = job_name(args.first.name)
        labels = labels_of(args.first.name, "driver")
        workload = k.Workload(job, args.namespace, labels, pulumi.ResourceOptions(parent=self))
        account = k.available_after(self._account(name, workload), args.policy, args.topics)
        secret = self._secret(name, workload.named(f"{job}-{SECRET}"), args)
        lease = coordination.v1.Lease(f"{name}-lease", metadata=workload.metadata(), opts=workload.opts)

        variables: dict[str, pulumi.Input[str]] = {
            **environment_of(args.models),
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": args.bootstrap_servers,
            **({"ARGUS_KAFKA_TLS_DIR": k.SECRETS_DIR} if args.identity else {}),
            **args.scraped.variables,
            "ARGUS_MAX_OFFSETS_PER_TASK": str(min(MAX_OFFSETS_PER_TASK, frames_per_task(args.models))),
            "ARGUS_MAX_FRAME_BYTES": str(args.max_message_bytes),
            "ARGUS_DRIVER_LEASE": lease.metadata.name,
            "ARGUS_DRIVER_SELECTOR": ",".join(f"{key}={value}" for key, value in labels.items()),
        }
        if args.ungated_cameras and any(model.gate_seconds is not None for model in args.models):
            variables["ARGUS_UNGATED_CAMERAS"] = json.dumps(args.ungated_cameras)
        files: dict[str, pulumi.Input[str]] = {
            "spark.properties": pulumi.Output.all(args.namespace, args.image).apply(
                lambda known: spark_properties(job, known[0], known[1], args)
            ),
            "executor.yaml": secret.apply(lambda named: executor_template(args.first.name, named)),
        }
        environment = k.lasting_config(f"{name}-environment", workload.named(f"{job}-environment"), variables)
        config = k.lasting_config(f"{name}-spark", workload.named(f"{job}-spark"), files)
        ports = {"http": k.HTTP_PORT, "driver": DRIVER_PORT, "blocks": BLOCK_PORT}
        k.headless_service(f"{name}-service", workload, ports)
        container = core.v1.ContainerArgs(
            name="driver",
            image=args.image,
            args=["driver"],
            env_from=k.env_from(environment),
            env=[
                k.env_field("ARGUS_DRIVER_HOST", "status.podIP"),
                k.env_field("ARGUS_DRIVER_POD_NAME", "metadata.name"),
            ],
            ports=k.container_ports(ports | k.METRICS_PORTS),
            resources=k.resources(cpu="50m", memory_mib=512, limit_mib=driver_limit_mib(args.first)),
            security_context=k.container_security(),
            startup_probe=k.http_probe(period=5, failures=120),
            readiness_probe=k.http_probe("/readyz"),
            liveness_probe=k.http_probe(period=20),
            # Pulumi shows the termination message of a pod that does not become ready.
            termination_message_policy="FallbackToLogsOnError",
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                k.mount("secrets", k.SECRETS_DIR, read_only=True),
                *args.scraped.mounts,
                k.mount("tmp", "/tmp"),
            ],
        )
        k.deployment(
            f"{name}-driver",
            workload,
            container,
            [k.config_volume(config), k.secret_volume(secret), *args.scraped.volumes, k.scratch_volume()],
            grace_seconds=45,
            service_account=account,
            swap=True,
        )
        self.register_outputs({})

    def _secret(self, name: str, workload: k.Workload, args: ModelJobArgs) -> pulumi.Output[str]:
        """The name of the Secret by which the application's driver and executors know each other, and Kafka knows them.

        One Secret, because a driver may give its executors no other (driver_policy.py).
        """
        word = drawn.secret(f"{name}-secret", redraw=args.secrets.redraw, opts=workload.opts)
        return k.lasting_secret(f"{name}-rpc", workload, {PurePosixPath(SECRET_FILE).name: word, **args.identity})

    def _account(self, name: str, workload: k.Workload) -> pulumi.Output[str]:
        """The driver's service account, available once it has its permissions."""
        verbs = ["create", "get", "list", "watch", "patch", "update", "delete", "deletecollection"]
        rules = [
            rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=verbs),
            rbac.v1.PolicyRuleArgs(
                api_groups=[""],
                resources=["configmaps", "services", "persistentvolumeclaims"],
                verbs=["get", "list", "watch"],
            ),
            # The application's own Lease, which names the active driver.
            rbac.v1.PolicyRuleArgs(
                api_groups=["coordination.k8s.io"],
                resources=["leases"],
                resource_names=[workload.name],
                verbs=["get", "update"],
            ),
        ]
        return k.service_account(name, workload, rules)


def _declare(pipeline: Pipeline) -> Iterator[pulumi.ComponentResource]:
    identities = pipeline.identities
    policy = DriverPolicy(
        "driver-policy",
        DriverPolicyArgs(namespace=pipeline.namespace, image=pipeline.images["spark"]),
        pipeline.opts,
    )
    yield policy
    for name, models in pipeline.settings.applications.items():
        args = ModelJobArgs(
            namespace=pipeline.namespace,
            image=pipeline.images["spark"],
            bootstrap_servers=pipeline.one(Kafka).bootstrap_servers,
            topics=pipeline.one(Topics).bootstrap_servers,
            models=models,
            max_message_bytes=pipeline.settings.kafka.max_message_bytes,
            ungated_cameras=[camera.name for camera in pipeline.settings.cameras if not camera.gated],
            secrets=pipeline.settings.pod_secrets,
            policy=policy.name,
            scraped=pipeline.scraped,
            identity=identities.files_of_client(job_name(name)) if identities else {},
        )
        yield ModelJob(job_name(name), args, pipeline.opts)


def _pods(settings: Settings) -> dict[str, dict[str, str]]:
    return {pods_of(name, role): labels_of(name, role) for name in settings.applications for role in ROLES}


STAGE: Final = Stage(
    name="model",
    section="models",
    image=Image(name="spark", paths=(*APP, "apps/weights", "apps/model_api", "apps/spark_jobs"), models=True),
    kind="Deployment",
    memory_key="executorMemoryMiB",
    workloads=lambda settings: {job_name(name): models[0] for name, models in settings.applications.items()},
    pods=_pods,
    declare=_declare,
)
