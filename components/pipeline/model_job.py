"""A model: one Spark application on Kubernetes, whose driver creates its own executors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
from pulumi_kubernetes import coordination, core, rbac

from apps.messages.names import FRAMES_TOPIC, REJECTED_TOPIC, model_group, results_topic
from components import kubernetes as k
from components.config import Settings, sections
from components.images import APP, Image
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics

DRIVER_PORT, BLOCK_PORT = 7078, 7079
HEAP_MIB = 256
"""Java heap of driver and executor. Frames only pass through it; the model and the images are in Python processes."""

Role = Literal["driver", "executor"]
ROLES: Final[tuple[Role, ...]] = ("driver", "executor")

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

    The model looks at every frame of `ungated_cameras`, even where it has a gate.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    model: sections.Model
    max_message_bytes: int
    ungated_cameras: Sequence[str]


def job_name(model: str) -> str:
    """The name of a model's Kubernetes objects."""
    return f"model-{model}"


def labels_of(model: str, role: Role) -> dict[str, str]:
    """The labels of a model's driver or executors."""
    return k.labels(job_name(model), role)


def pods_of(model: str, role: Role) -> str:
    """The key of a model's driver or executors in `Stage.pods`."""
    return f"{job_name(model)}-{role}"


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
        "spark.kubernetes.authenticate.executor.serviceAccountName": "default",
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
        "spark.executor.instances": args.model.executors.minimum,
        "spark.executor.cores": args.model.cores_per_executor,
        "spark.driver.bindAddress": "0.0.0.0",
        "spark.driver.port": DRIVER_PORT,
        "spark.driver.blockManager.port": BLOCK_PORT,
        # For executors: the default is a random port, which no network policy can allow.
        "spark.blockManager.port": BLOCK_PORT,
        "spark.driver.memory": f"{HEAP_MIB}m",
        "spark.executor.memory": f"{HEAP_MIB}m",
        "spark.executor.memoryOverhead": f"{args.model.executor_memory_mib - HEAP_MIB}m",
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
        "spark.sql.execution.arrow.maxRecordsPerBatch": args.model.batch_size,
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
        "spark.sql.streaming.minBatchesToRetain": "2",
        "spark.sql.streaming.numRecentProgressUpdates": "2",
        "spark.sql.streaming.kafka.useDeprecatedOffsetFetching": "false",
    }
    return "".join(f"{key} {value}\n" for key, value in properties.items())


def executor_template(model: str) -> str:
    """The executors' pod template, as JSON (a subset of YAML). Spark adds image, arguments, resources and names."""
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
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    return json.dumps(template, indent=2) + "\n"


def frames_per_task(model: sections.Model) -> int:
    """The number of frames that a task can process within BATCH_SECONDS if every call takes its full time limit."""
    return max(1, int(BATCH_SECONDS / model.call_seconds)) if model.kind == "python" else sys.maxsize


def environment_of(model: sections.Model) -> dict[str, str]:
    """The driver's environment variables that follow from the model alone; unset keys of the stack are left out."""
    variables = {
        "MODEL_NAME": model.name,
        "MODEL_KIND": model.kind,
        "FRAMES_TOPIC": FRAMES_TOPIC,
        "RESULTS_TOPIC": results_topic(model.name),
        "REJECTED_TOPIC": REJECTED_TOPIC,
        "CONSUMER_GROUP": model_group(model.name),
        "TRIGGER_SECONDS": model.trigger_seconds,
        "CORES_PER_EXECUTOR": model.cores_per_executor,
        "MINIMUM_EXECUTORS": model.executors.minimum,
        "MAXIMUM_EXECUTORS": model.executors.maximum,
        "TARGET_LAG_SECONDS": model.executors.target_lag_seconds,
        "COOL_DOWN_SECONDS": model.executors.cool_down_seconds,
        "BATCH_SIZE": model.batch_size,
        "WEIGHTS": f"/opt/argus/weights/{model.name}",
        "SIZE": model.size,
        "PRECISION": model.precision,
        "DEVICE": model.device,
        "CONTRACT": json.dumps(model.contract.stated()),
        "LABELS": None if model.labels is None else json.dumps(model.labels),
        "SCORE_THRESHOLD": model.score_threshold,
        "SCORE_THRESHOLDS": json.dumps(model.score_thresholds),
        "CODE": f"/opt/argus/code/{model.name}",
        "CALL_SECONDS": model.call_seconds,
        "CALL_MEMORY_MIB": model.call_memory_mib,
        "GATE_SECONDS": model.gate_seconds,
        "STALL_SECONDS": STALL_SECONDS + (model.call_seconds if model.kind == "python" else 0),
        "CHECKPOINT": "/tmp/checkpoint",
        "HTTP_PORT": k.HTTP_PORT,
    }
    return {f"ARGUS_{name}": str(value) for name, value in variables.items() if value is not None}


def driver_limit_mib(model: sections.Model) -> int:
    """Memory limit (MiB) of the driver's container, which first checks the model with the memory of an executor."""
    return max(model.driver_memory_mib, model.executor_memory_mib - HEAP_MIB)


class ModelJob(pulumi.ComponentResource):
    """The driver of one model, in client mode, with permission to manage its executors and nothing else.

    A new driver starts beside the old one, checks its model and waits; once it is ready, Kubernetes stops the old one,
    and the new one continues from there. If the new driver fails, the old one keeps working (ADR 16), because its
    ConfigMaps are never changed. Progress is the group's committed offsets in Kafka, so a driver may start on any node.
    """

    def __init__(self, name: str, args: ModelJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:ModelJob", name, None, opts)
        model = args.model
        job = job_name(model.name)
        labels = labels_of(model.name, "driver")
        workload = k.Workload(job, args.namespace, labels, pulumi.ResourceOptions(parent=self))
        account = self._account(name, workload)
        lease = coordination.v1.Lease(f"{name}-lease", metadata=workload.metadata(), opts=workload.opts)

        variables: dict[str, pulumi.Input[str]] = {
            **environment_of(model),
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": args.bootstrap_servers,
            "ARGUS_MAX_OFFSETS_PER_TASK": str(min(MAX_OFFSETS_PER_TASK, frames_per_task(model))),
            "ARGUS_MAX_FRAME_BYTES": str(args.max_message_bytes),
            "ARGUS_DRIVER_LEASE": lease.metadata.name,
            "ARGUS_DRIVER_SELECTOR": ",".join(f"{key}={value}" for key, value in labels.items()),
        }
        if model.gate_seconds is not None and args.ungated_cameras:
            variables["ARGUS_UNGATED_CAMERAS"] = json.dumps(args.ungated_cameras)
        files: dict[str, pulumi.Input[str]] = {
            "spark.properties": pulumi.Output.all(args.namespace, args.image).apply(
                lambda known: spark_properties(job, known[0], known[1], args)
            ),
            "executor.yaml": executor_template(model.name),
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
            ports=k.container_ports(ports),
            resources=k.resources(cpu="50m", memory_mib=512, limit_mib=driver_limit_mib(model)),
            security_context=k.container_security(),
            startup_probe=k.http_probe(period=5, failures=120),
            readiness_probe=k.http_probe("/readyz"),
            liveness_probe=k.http_probe(period=20),
            # Pulumi shows the termination message of a pod that does not become ready.
            termination_message_policy="FallbackToLogsOnError",
            volume_mounts=[k.mount("config", k.CONFIG_DIR, read_only=True), k.mount("tmp", "/tmp")],
        )
        k.deployment(
            f"{name}-driver",
            workload,
            container,
            [k.config_volume(config), k.scratch_volume()],
            grace_seconds=45,
            service_account=account,
            swap=True,
        )
        self.register_outputs({})

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
            # The model's own Lease, which names the active driver.
            rbac.v1.PolicyRuleArgs(
                api_groups=["coordination.k8s.io"],
                resources=["leases"],
                resource_names=[workload.name],
                verbs=["get", "update"],
            ),
        ]
        return k.service_account(name, workload, rules)


def _declare(pipeline: Pipeline) -> Iterator[ModelJob]:
    for model in pipeline.settings.models:
        args = ModelJobArgs(
            namespace=pipeline.namespace,
            image=pipeline.images["spark"],
            bootstrap_servers=pipeline.one(Topics).bootstrap_servers,
            model=model,
            max_message_bytes=pipeline.settings.kafka.max_message_bytes,
            ungated_cameras=[camera.name for camera in pipeline.settings.cameras if not camera.gated],
        )
        yield ModelJob(job_name(model.name), args, pipeline.opts)


def _pods(settings: Settings) -> dict[str, dict[str, str]]:
    return {pods_of(model.name, role): labels_of(model.name, role) for model in settings.models for role in ROLES}


STAGE: Final = Stage(
    name="model",
    section="models",
    image=Image(name="spark", paths=(*APP, "apps/weights", "apps/model_api", "apps/spark_jobs"), models=True),
    kind="Deployment",
    memory_key="executorMemoryMiB",
    workloads=lambda settings: {job_name(model.name): model for model in settings.models},
    pods=_pods,
    declare=_declare,
)
