"""The driver's settings, from the environment (`ARGUS_…`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.messages import FRAMES_TOPIC, NAME_PATTERN, REJECTED_TOPIC
from apps.spark_jobs.scaling import Limits
from apps.spark_jobs.spec import JobSpec, ModelKind
from apps.weights.contract import Contract, Precision


class Settings(BaseSettings):
    """One model job. Spark's own settings (master, memory, cores) are in spark.properties."""

    model_config = SettingsConfigDict(env_prefix="ARGUS_", frozen=True, protected_namespaces=())

    model_name: str = Field(pattern=f"^{NAME_PATTERN}$")
    model_kind: ModelKind
    kafka_bootstrap_servers: str
    frames_topic: str = FRAMES_TOPIC
    results_topic: str
    rejected_topic: str = REJECTED_TOPIC
    consumer_group: str
    trigger_seconds: float = Field(default=2.0, gt=0)
    cores_per_executor: int = Field(default=1, ge=1)
    minimum_executors: int = Field(default=1, ge=1)
    maximum_executors: int = Field(default=1, ge=1)
    target_lag_seconds: float = Field(default=10.0, gt=0)
    cool_down_seconds: float = Field(default=300.0, gt=0)
    batch_size: int = Field(default=16, ge=1)
    weights: Path
    size: str | None = None
    precision: Precision = "auto"
    device: str = "CPU"
    contract: Contract = Contract()
    labels: tuple[str, ...] | None = None
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    score_thresholds: dict[str, float] = {}
    code: Path = Path("/opt/argus/code")
    call_seconds: float = Field(default=10.0, gt=0)
    call_memory_mib: int = Field(default=512, ge=1)
    threads: int = Field(default=1, ge=1)
    """Inference threads of one Python worker; a worker has one Spark core, so more only helps with spark.task.cpus."""
    max_offsets_per_task: int = Field(default=400, ge=1)
    max_frame_bytes: int = Field(default=2_000_000, ge=1)
    checkpoint: Path = Path("/tmp/checkpoint")
    http_port: int = Field(default=8080, ge=0, le=65535)
    stall_seconds: float = Field(default=600, gt=0)
    """Without a finished batch or an idle report for this long, /healthz fails and Kubernetes restarts the driver."""
    stop_seconds: float = Field(default=20, gt=0)
    """How long a stop waits for the running batch."""
    check_seconds: float = Field(default=180, gt=0)
    """How long the model may take to load and to answer for two pictures before the driver starts."""
    driver_pod_name: str = ""
    driver_lease: str | None = None
    """The Lease that says which driver of this model works; None where there is only this one."""
    driver_selector: str = ""
    """Selects the pods of this model's drivers."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def limits(self) -> Limits:
        """Between which the job scales itself."""
        return Limits(
            minimum=self.minimum_executors,
            maximum=self.maximum_executors,
            target_lag_seconds=self.target_lag_seconds,
            cool_down_seconds=self.cool_down_seconds,
        )

    @property
    def spec(self) -> JobSpec:
        """The part that the executors need."""
        return JobSpec(
            model=self.model_name,
            kind=self.model_kind,
            weights=self.weights,
            size=self.size,
            precision=self.precision,
            device=self.device,
            contract=self.contract,
            labels=self.labels,
            score_threshold=self.score_threshold,
            score_thresholds=tuple(self.score_thresholds.items()),
            code=self.code,
            call_seconds=self.call_seconds,
            call_memory_mib=self.call_memory_mib,
            threads=self.threads,
            results_topic=self.results_topic,
            rejected_topic=self.rejected_topic,
            max_frame_bytes=self.max_frame_bytes,
        )
