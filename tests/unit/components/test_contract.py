"""Components set exactly what the apps in the pods read: every variable, every file, in both stacks.

A variable that its app does not know, or needs but does not get, fails here by name; so does a default in an app for a
value that a component sets.
"""

import importlib.util
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.consumer.settings import Settings as ConsumerSettings
from apps.indices.settings import ComparisonSettings, CountersSettings, RetentionSettings
from apps.kafka_rules.__main__ import Settings as RulesSettings
from apps.messages.names import results_topic
from apps.producer.settings import Settings as ProducerSettings
from apps.producer.settings import read_cameras, read_credentials
from apps.service.elasticsearch import ElasticsearchSettings
from apps.service.peer import SCRAPERS_TOKEN
from apps.service.settings import (
    PREFIX,
    AnsweringSettings,
    AskingSettings,
    MeasuredSettings,
    PeerSettings,
    Settings,
    read,
)
from apps.spark_jobs.settings import ModelSettings
from apps.spark_jobs.settings import Settings as DriverSettings
from apps.spark_jobs.spec import JobSpec
from apps.ui.settings import Settings as UiSettings
from tests.unit.components.conftest import ROOT, Program
from tests.unit.stacks import configuration

STACKS = ("Pulumi.dev.yaml", "Pulumi.prod.yaml")
"""The shipped ones: what they say may change, and the apps must still read it."""
READERS: Mapping[str, type[Settings]] = {
    "producer": ProducerSettings,
    "consumer": ConsumerSettings,
    "ui": UiSettings,
    "driver": DriverSettings,
    "install": ElasticsearchSettings,
    "retention": RetentionSettings,
    "compare": ComparisonSettings,
    "rules": RulesSettings,
    "metrics": CountersSettings,
}
"""The class that reads a container's variables, by the container's name."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container of the stack: `variables` are its environment, `files` its mounted files by path."""

    pod: str
    name: str
    variables: Mapping[str, str]
    files: Mapping[str, str]
    command: tuple[str, ...]
    ports: Mapping[str, int]


def containers(resources: Any) -> list[Container]:
    """All containers of the stack's workloads with an app's variables."""
    objects = [each.inputs for each in resources.resources if each.type.startswith("kubernetes:")]
    data = {
        (item["kind"], item["metadata"]["name"]): {**item.get("data", {}), **item.get("stringData", {})}
        for item in objects
        if item["kind"] in ("ConfigMap", "Secret")
    }
    found = []
    for item in objects:
        spec = item.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is None:
            continue
        for container in template["spec"]["containers"]:
            one = _container(item["metadata"]["name"], template["spec"], container, data)
            if any(name.startswith(PREFIX) for name in one.variables):
                found.append(one)
    return found


def _container(pod: str, spec: Mapping[str, Any], container: Mapping[str, Any], data: Mapping[Any, Any]) -> Container:
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= data["ConfigMap", source["configMapRef"]["name"]]
    for variable in container.get("env", ()):
        # Values that Kubernetes fills in exist only in a pod.
        variables[variable["name"]] = variable.get("value", "10.0.0.1")
    mounted = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}
    files = {}
    for volume in spec.get("volumes", ()):
        if volume["name"] in mounted:
            files |= {f"{mounted[volume['name']]}/{file}": text for file, text in _files(volume, data).items()}
    command = tuple(str(word) for word in (*container.get("command", ()), *container.get("args", ())))
    ports = {port["name"]: int(port["containerPort"]) for port in container.get("ports", ())}
    return Container(pod=pod, name=container["name"], variables=variables, files=files, command=command, ports=ports)


def _files(volume: Mapping[str, Any], data: Mapping[Any, Any]) -> dict[str, str]:
    """A volume's files by their names in it."""
    if "configMap" in volume:
        return dict(data.get(("ConfigMap", volume["configMap"]["name"]), {}))
    if "secret" in volume:
        return dict(data.get(("Secret", volume["secret"]["secretName"]), {}))
    found: dict[str, str] = {}
    for source in (each["secret"] for each in volume.get("projected", {}).get("sources", ())):
        there = data["Secret", source["name"]]
        found |= {item["path"]: there[item["key"]] for item in source["items"]} if "items" in source else there
    return found


Find = Callable[[str], list[Container]]


@pytest.fixture(params=STACKS)
def found(request: pytest.FixtureRequest, program: Program) -> Find:
    """`found(name)`: the stack's containers of this name."""
    seen = containers(program(ROOT / request.param))
    return lambda name: [each for each in seen if name in ("", each.name)]


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Container], Any]:
    """`settings_of(container)`: its app's own settings, read only from the container's environment."""

    def settings_of(container: Container) -> Any:
        with monkeypatch.context() as environment:
            environment.setattr("os.environ", dict(container.variables))
            return read(READERS[container.name])

    return settings_of


def complaints(container: Container, settings: type[Settings]) -> list[str]:
    """The variables of a container that its app does not know or has a default for."""
    fields = {f"{PREFIX}{name.upper()}": field for name, field in settings.model_fields.items()}
    said = []
    for name in sorted(name for name in container.variables if name.startswith(PREFIX)):
        if name not in fields:
            said.append(f"{container.pod}: {settings.__module__} does not know {name}")
        elif not fields[name].is_required() and fields[name].get_default() is not None:
            said.append(f"{container.pod}: {settings.__module__} has a default for {name} beside the component's value")
    return said


def test_every_container_with_settings_has_an_app_that_reads_them(found: Find) -> None:
    assert {each.name for each in found("")} == READERS.keys()


@pytest.mark.parametrize("name", READERS)
def test_an_app_knows_every_variable_and_gets_all_that_it_needs(
    found: Find, settings_of: Callable[[Container], Any], name: str
) -> None:
    for container in found(name):
        assert complaints(container, READERS[name]) == []
        settings_of(container)


def test_pods_that_ask_each_other_have_the_token_and_certificates(
    found: Find, settings_of: Callable[[Container], Any]
) -> None:
    peers = [each for each in found("") if issubclass(READERS[each.name], PeerSettings)]
    assert {each.name for each in peers} == {"producer", "consumer", "ui", "compare"}
    for container in peers:
        settings = settings_of(container)
        assert str(settings.token_file) in container.files, container.pod
        if isinstance(settings, AskingSettings):
            assert str(settings.authority_file) in container.files, container.pod
        if isinstance(settings, AnsweringSettings):
            assert {f"{settings.tls_dir}/{name}" for name in ("tls.crt", "tls.key")} <= container.files.keys()
    asking = {each.name for each in peers if issubclass(READERS[each.name], AskingSettings)}
    answering = {each.name for each in peers if issubclass(READERS[each.name], AnsweringSettings)}
    assert (asking, answering) == ({"producer", "ui", "compare"}, {"producer", "consumer"})


def test_who_answers_metrics_has_their_token_and_certificate_and_the_port_that_is_declared(
    found: Find, settings_of: Callable[[Container], Any]
) -> None:
    measured = [each for each in found("") if issubclass(READERS[each.name], MeasuredSettings)]
    assert {each.name for each in measured} == {"producer", "consumer", "ui", "driver", "metrics"}
    for container in measured:
        settings = settings_of(container)
        assert {f"{settings.metrics_dir}/{name}" for name in (SCRAPERS_TOKEN, "tls.crt", "tls.key")} == {
            file for file in container.files if file.startswith(f"{settings.metrics_dir}/")
        }
        assert settings.metrics_port == container.ports["metrics"], container.pod


def test_every_module_that_is_run_is_there(found: Find) -> None:
    run = {each.command[each.command.index("-m") + 1] for each in found("") if "-m" in each.command}
    jobs = {"apps.indices.retention", "apps.indices.template", "apps.indices.compare", "apps.kafka_rules"}
    assert run == jobs | {"apps.indices.counters"}
    assert [module for module in run if importlib.util.find_spec(module) is None] == []
    (install,) = found("install")
    assert install.command[-1] in install.files


def test_every_camera_is_read_once_with_its_login(
    found: Find, settings_of: Callable[[Container], Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = configuration(ROOT / request.node.callspec.params["found"])
    names, logins = [], set()
    for container in found("producer"):
        settings = settings_of(container)
        folder = tmp_path / container.pod
        for path, text in container.files.items():
            file = folder / path.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        names += [camera.name for camera in read_cameras(folder / str(settings.cameras_file).removeprefix("/"))]
        secrets = folder / str(settings.credentials_file).removeprefix("/")
        assert secrets.exists(), f"{container.pod}: no file at ARGUS_CREDENTIALS_FILE={settings.credentials_file}"
        logins |= read_credentials(secrets).keys()
    assert sorted(names) == sorted(camera["name"] for camera in config["argus:cameras"])
    assert logins == config.get("argus:cameraCredentials", {}).keys()


def test_a_driver_and_its_executors(found: Find, settings_of: Callable[[Container], Any]) -> None:
    for container in found("driver"):
        settings: DriverSettings = settings_of(container)
        for spec in settings.specs:
            assert isinstance(spec, JobSpec)
            assert spec.results_topic == results_topic(spec.model)
            # This is all that an executor receives beside Spark's own properties.
            assert pickle.loads(pickle.dumps(spec)) == spec
        properties = dict(
            line.split(" ", 1) for line in container.files[str(settings.spark_properties)].splitlines() if line
        )
        template = yaml.safe_load(container.files[properties["spark.kubernetes.executor.podTemplateFile"]])
        (executor,) = template["spec"]["containers"]
        assert executor["name"] == properties["spark.kubernetes.executor.podTemplateContainerName"]
        assert properties["spark.authenticate.secret.file"] in container.files
        given = {name.removeprefix("spark.executorEnv.") for name in properties if "executorEnv" in name}
        given |= {each["name"] for each in executor.get("env", ())}
        assert [name for name in given if name.startswith(PREFIX)] == [], "no executor reads a variable of Argus's"
        assert settings.cores_per_executor == int(properties["spark.executor.cores"])
        assert settings.batch_size == int(properties["spark.sql.execution.arrow.maxRecordsPerBatch"])


def test_a_driver_reads_what_it_is_told_of_further_models(
    program: Program, settings_of: Callable[[Container], Any]
) -> None:
    (container,) = (each for each in containers(program(ROOT / "Pulumi.dev.yaml")) if each.name == "driver")
    settings: DriverSettings = settings_of(container)
    assert complaints(container, DriverSettings) == []
    assert [spec.model for spec in settings.specs] == ["objects", "motion"]
    for spec in settings.specs:
        assert spec.results_topic == results_topic(spec.model)
    # Nothing that a further model needs comes from a default.
    told = json.loads(container.variables["ARGUS_FURTHER_MODELS"])[0].keys()
    required = {name for name, field in ModelSettings.model_fields.items() if field.is_required()}
    assert required <= told <= ModelSettings.model_fields.keys()


def test_stages_meet_at_the_same_names(found: Find, settings_of: Callable[[Container], Any]) -> None:
    drivers = [settings_of(each) for each in found("driver")]
    specs = [spec for each in drivers for spec in each.specs]
    (consumer,) = map(settings_of, found("consumer"))
    (ui,) = map(settings_of, found("ui"))
    producers = [settings_of(each) for each in found("producer")]
    assert sorted(consumer.results_topics) == sorted(ui.results_topics) == sorted(each.results_topic for each in specs)
    assert sorted(ui.models) == sorted(each.model for each in specs)
    assert len({each.frames_topic for each in (*producers, *drivers, consumer, ui)}) == 1
    assert len(ui.producer_urls) == len(producers)
    assert all(each.max_frame_bytes < driver.max_frame_bytes for each in producers for driver in drivers)
