"""The driver's settings, from the environment (`ARGUS_…`)."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from apps.messages.names import NAME_PATTERN
from apps.service.settings import KafkaSettings, MeasuredSettings, ServerSettings
from apps.spark_jobs.scaling import Limits
from apps.spark_jobs.spec import JobSpec, ModelKind
from apps.weights.contract import Contract, Precision


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, dict) else value


class ModelSettings(BaseModel, extra="forbid", frozen=True):
    """The settings that each model of an application has for itself."""

    model_name: str = Field(pattern=f"^{NAME_PATTERN}$")
    model_kind: ModelKind
    results_topic: str = Field(min_length=1)
    consumer_group: str = Field(min_length=1)
    weights: Path
    size: str | None = None
    precision: Precision
    device: str
    contract: Contract
    labels: tuple[str, ...] | None = None
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    score_thresholds: Annotated[tuple[tuple[str, float], ...], BeforeValidator(_pairs)]
    code: Path
    call_seconds: float = Field(gt=0)
    call_memory_mib: int = Field(ge=1)
    gate_seconds: float | None = Field(default=None, gt=0)
    """The longest time between two frames of a camera that are looked at; None: the model looks at every frame."""
    overload_seconds: float | None = Field(default=None, gt=0)
    """The delay beyond which the model looks at a share of each camera's frames only; None: it waits its turn."""


class Settings(ServerSettings, MeasuredSettings, KafkaSettings, ModelSettings):
    """A Spark application: its first model, further models, and what they share.

    Spark's own settings (master, memory, cores) are in spark.properties.
    """

    further_models: tuple[ModelSettings, ...] | None = None
    """The models that share the application, as JSON; unset: there are none."""
    frames_topic: str = Field(min_length=1)
    rejected_topic: str = Field(min_length=1)
    trigger_seconds: float = Field(gt=0)
    cores_per_executor: int = Field(ge=1)
    minimum_executors: int = Field(ge=1)
    maximum_executors: int = Field(ge=1)
    target_lag_seconds: float = Field(gt=0)
    cool_down_seconds: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    ungated_cameras: tuple[str, ...] = ()
    """Cameras of which each model looks at every frame."""
    threads: int = Field(default=1, ge=1)
    """Inference threads of one Python worker. A worker has one Spark core: more threads need spark.task.cpus too."""
    max_offsets_per_task: int = Field(ge=1)
    max_frame_bytes: int = Field(ge=1)
    checkpoint: Path
    stall_seconds: float = Field(gt=0)
    """After this long without a finished batch or idle report, /healthz fails and Kubernetes restarts the driver."""
    stop_seconds: float = Field(default=20, gt=0)
    """How long a stop waits for the running batch."""
    check_seconds: float = Field(default=180, gt=0)
    """How long each model may take to load and process two pictures before the driver starts."""
    spark_properties: Path = Path("/etc/argus/spark.properties")
    driver_host: str = Field(min_length=1)
    """The pod's address, where executors reach this driver."""
    driver_pod_name: str = Field(min_length=1)
    """The pod that owns the executors: they are deleted with it."""
    driver_lease: str = Field(min_length=1)
    """The Lease that names this application's active driver."""
    driver_selector: str = Field(min_length=1)
    """The label selector of this application's driver pods."""

    @property
    def spark_connection(self) -> dict[str, str]:
        """The options of Spark's Kafka source and sink that reach the brokers. Executors have the same files."""
        options = {"bootstrap.servers": self.kafka_bootstrap_servers}
        if self.kafka_tls_dir is not None:
            options |= {
                "security.protocol": "SSL",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.kafka_tls_dir / "tls.pem"),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.kafka_tls_dir / "ca.pem"),
            }
        return {f"kafka.{name}": value for name, value in options.items()}

    @property
    def limits(self) -> Limits:
        """The limits within which the job scales."""
        return Limits(
            minimum=self.minimum_executors,
            maximum=self.maximum_executors,
            target_lag_seconds=self.target_lag_seconds,
            cool_down_seconds=self.cool_down_seconds,
        )

    @property
    def models(self) -> tuple[ModelSettings, ...]:
        """The application's models, with the one that names it first."""
        return (self, *(self.further_models or ()))

    @property
    def specs(self) -> tuple[JobSpec, ...]:
        """The settings of each model that the executors need."""
        return tuple(self._spec(each) for each in self.models)

    def _spec(self, model: ModelSettings) -> JobSpec:
        names = {each.name for each in fields(JobSpec)} & type(self).model_fields.keys()
        own = ModelSettings.model_fields.keys()
        given = {name: getattr(model if name in own else self, name) for name in names}
        return JobSpec(model=model.model_name, kind=model.model_kind, **given)

    @property
    def submit_arguments(self) -> str:
        """The arguments that start Spark, for PYSPARK_SUBMIT_ARGS."""
        said = {"spark.driver.host": self.driver_host, "spark.kubernetes.driver.pod.name": self.driver_pod_name}
        options = [f"--conf {key}={value}" for key, value in said.items()]
        return " ".join([f"--properties-file {self.spark_properties}", *options, "pyspark-shell"])
