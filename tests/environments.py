"""Default environments of the apps for tests: what a component sets, without the prefix ARGUS_."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.certificates import AUTHORITY, of_metrics, of_pods

TOKEN_FILE: Final = Path(__file__).with_name("pod-token")
"""A token by which the tests' pods know each other."""
AUTHORITY_FILE: Final = of_pods() / AUTHORITY
"""The authority of the certificate that they show."""

METRICS_DIR: Final = of_metrics()
"""What they show those who read metrics, and ask of them."""

_MEASURED: Final = {"metrics_port": "0", "metrics_dir": str(METRICS_DIR)}
_PIPELINE: Final = {"kafka_bootstrap_servers": "kafka:9092", "frames_topic": "frames", "http_port": "0", **_MEASURED}
_PEER: Final = {**_PIPELINE, "token_file": str(TOKEN_FILE), "probe_port": "0"}
_ASKING: Final = {"authority_file": str(AUTHORITY_FILE)}
_ANSWERING: Final = {"tls_dir": str(of_pods())}

GIVEN: Final[Mapping[str, Mapping[str, str]]] = {
    "apps.producer": {
        **_PEER,
        **_ASKING,
        **_ANSWERING,
        "cameras_file": "/nowhere/cameras.json",
        "credentials_file": "/nowhere/credentials.json",
        "max_frame_bytes": "1900000",
        "peers": "",
    },
    "apps.consumer": {
        **_PEER,
        **_ANSWERING,
        "results_topics": "",
        "consumer_group": "consumer",
        "data_dir": "/nowhere",
        "retention_hours": "48",
        "max_disk_bytes": "8000000000",
    },
    "apps.ui": {
        **_PEER,
        **_ASKING,
        "results_topics": "",
        "elasticsearch_url": "http://elasticsearch:9200",
        "consumer_urls": "",
        "producer_urls": "",
        "cameras": "",
        "access_dir": "/nowhere",
        "sessions_config_map": "ui-sessions",
        "certificates_dir": "/nowhere",
        "standby_machines": "",
    },
    "apps.spark_jobs": {
        **_PIPELINE,
        "model_name": "objects",
        "model_kind": "objects",
        "results_topic": "results.objects",
        "rejected_topic": "rejected",
        "consumer_group": "spark.objects",
        "trigger_seconds": "2",
        "cores_per_executor": "1",
        "minimum_executors": "1",
        "maximum_executors": "1",
        "target_lag_seconds": "10",
        "cool_down_seconds": "300",
        "batch_size": "16",
        "weights": "/opt/argus/weights/objects",
        "precision": "auto",
        "device": "CPU",
        "contract": "{}",
        "score_thresholds": "{}",
        "code": "/opt/argus/code/objects",
        "call_seconds": "10",
        "call_memory_mib": "512",
        "max_offsets_per_task": "400",
        "max_frame_bytes": "2000000",
        "checkpoint": "/tmp/checkpoint",
        "stall_seconds": "600",
        "driver_host": "127.0.0.1",
        "driver_pod_name": "model-objects",
        "driver_lease": "model-objects",
        "driver_selector": "app=model",
    },
}


_OF_EACH_MODEL: Final = ("weights", "precision", "device", "code", "call_seconds", "call_memory_mib")


def further_models(*models: Mapping[str, object]) -> str:
    """The value of ARGUS_FURTHER_MODELS: for each model its name, kind, topic and group, and changes of the rest."""
    given = {name: GIVEN["apps.spark_jobs"][name] for name in _OF_EACH_MODEL}
    return json.dumps([{**given, "contract": {}, "score_thresholds": {}, **model} for model in models])


def variables(module: str, **changes: str) -> dict[str, str]:
    """The environment of `python -m MODULE`, with changes."""
    return {f"ARGUS_{name.upper()}": value for name, value in {**GIVEN[module], **changes}.items()}
