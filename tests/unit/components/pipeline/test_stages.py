"""A stage is described once, and everything that the program makes for stages is derived from that."""

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import core
from pydantic import Field

from components import kubernetes as k
from components.config import ConfigError, Memory, Settings
from components.config.sections import Section, Vertical
from components.images import Image
from components.pipeline import stages
from components.pipeline.elasticsearch_proxy import IMAGE
from components.pipeline.kafka import STAGE as KAFKA
from components.pipeline.scraping import Scraped
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics
from tests.unit.components.answers import unpacked
from tests.unit.components.conftest import ROOT, Program, Recorder
from tests.unit.components.pipeline.conftest import Build, settings
from tests.unit.components.pipeline.test_pipeline import templates
from tests.unit.stacks import HOSTS


def test_workloads_are_as_their_stages_describe_them(build: Build) -> None:
    objects, given = build(), settings()
    described = {f"{each.kind}/{name}": each for each in stages.STAGES for name in each.workloads_of(given)}
    platform = ("Deployment/argus-keda/", "Deployment/argus-vpa/")
    workloads = {key for key in objects if key.startswith(("StatefulSet/", "Deployment/"))}
    assert described.keys() == {key for key in workloads if not key.startswith(platform)}
    for key, stage in described.items():
        spec = objects[key].inputs["spec"]
        beside = [f"{IMAGE.name}:1"] * 2 if key == "StatefulSet/elasticsearch" else []
        beside += [f"{name}:1" for name in stage.images_beside]
        images = [each["image"] for each in spec["template"]["spec"]["containers"]]
        assert images == [f"{stage.image.name}:1", *beside], key
        assert ("volumeClaimTemplates" in spec) is stage.keeps_data, key


def test_every_pod_is_of_a_kind_that_a_stage_names(build: Build) -> None:
    kinds = [labels.items() for stage in stages.STAGES for labels in stage.pods_of(settings()).values()]
    for key, template in templates(build()).items():
        if not key.startswith(("Deployment/argus-keda/", "Deployment/argus-vpa/", "DaemonSet/image-cache")):
            assert any(labels <= template["metadata"]["labels"].items() for labels in kinds), key


def test_a_stage_comes_after_those_that_it_needs() -> None:
    images = {"kafka": "kafka:1"}
    pipeline = Pipeline(
        settings=settings(),
        namespace="argus",
        images=images,
        keda=None,
        token="pods-token",
        certificates=None,  # type: ignore[arg-type]
        scraped=Scraped(variables={}, mounts=[], volumes=[]),
    )
    with pytest.raises(LookupError, match="there are 0 components Zookeeper so far: mind the order"):
        pipeline.add(KAFKA)


class Snapshots(Section):
    """The section of a stage that exists only in these tests."""

    replicas: int = 1
    memory: Memory = Memory(requestMiB=64, limitMiB=128)
    vertical: Vertical = "apply"
    volume_gib: int = Field(3, alias="volumeGiB")


class WithSnapshots(Settings):
    """A stack with that section."""

    snapshots: Snapshots = Snapshots()


class Made(pulumi.ComponentResource):
    """The stage's component."""

    def __init__(self, image: pulumi.Input[str], servers: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__("argus:pipeline:Made", "snapshots", None, opts)
        described = k.metadata("snapshots", "argus", {})
        child = pulumi.ResourceOptions(parent=self)
        core.v1.ConfigMap("snapshots", metadata=described, data={"image": image, "servers": servers}, opts=child)
        self.register_outputs({})


def _declare(pipeline: Pipeline) -> Iterator[Made]:
    assert pipeline.opts is not None
    yield Made(pipeline.images["snapshots"], pipeline.one(Topics).bootstrap_servers, pipeline.opts)


def new_stage(kind: Any) -> Stage:
    return Stage(
        name="snapshots",
        section="snapshots",
        image=Image(name="snapshots", paths=("apps/snapshots",)),
        pods={"snapshots": k.labels("snapshots", "archive")},
        kind=kind,
        declare=_declare,
    )


Run = Callable[..., Recorder]
OTHERS = {image: f"registry.example.com/{image}:1" for image in stages.every_image(stages.STAGES)}


@pytest.fixture(params=["Deployment", "StatefulSet"])
def with_snapshots(
    request: pytest.FixtureRequest, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run the program for real hosts, with the stage as the kind of workload under test."""
    for place in ("containers/snapshots/Dockerfile", "apps/snapshots/main.py"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("# snapshots\n")
    monkeypatch.setattr("components.images.ROOT", tmp_path)
    monkeypatch.setattr("components.pipeline.stages.STAGES", (*stages.STAGES, new_stage(request.param)))
    monkeypatch.setattr(importlib.import_module("components.config.load"), "Settings", WithSnapshots)

    def run(**snapshots: Any) -> Recorder:
        recorder: Recorder = program(HOSTS, {"images": {"overrides": OTHERS}, "snapshots": snapshots})
        return recorder

    return run


def test_a_new_stage_is_its_module_its_section_and_a_line(with_snapshots: Run, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["with_snapshots"]
    made = with_snapshots(volumeGiB=5)

    image = made.named("images-snapshots").inputs
    reference = image["environment"]["ARGUS_IMAGE"]
    assert re.fullmatch(r"registry\.example\.com/video/argus/snapshots:[0-9a-f]{12}", reference)
    sources = dict(line.split("\t")[::-1] for line in image["stdin"].splitlines())
    assert sources.keys() == {"containers/snapshots/Dockerfile", "apps/snapshots/main.py"}

    policy = made.named("network-policies-snapshots").inputs["spec"]
    assert policy["podSelector"] == {"matchLabels": k.labels("snapshots", "archive")}
    assert made.named("network-policies-default").depends_on >= {"network-policies-snapshots"}

    watched = made.named("vertical-snapshots").inputs["spec"]
    assert watched["targetRef"] == {"apiVersion": "apps/v1", "kind": kind, "name": "snapshots"}
    assert watched["updatePolicy"]["updateMode"] == "InPlace"

    pods = made.named("image-cache-pods").inputs["spec"]["template"]["spec"]
    cached = {each["name"]: each["image"] for each in pods["initContainers"]}
    volumes = [each for each in made.resources if re.fullmatch(r"cluster-storage-worker-\d-snapshots", each.name)]
    if kind == "Deployment":
        assert cached["pull-snapshots"] == reference
        assert volumes == []
    else:
        assert "pull-snapshots" not in cached
        assert [each.inputs["spec"]["capacity"] for each in volumes] == [{"storage": "5Gi"}] * 3
        assert "snapshots" in unpacked(made.named("cluster-storage-worker-1-folders").inputs["create"])

    (component,) = made.children("snapshots")
    assert component.inputs["data"]["image"] == reference
    assert component.inputs["data"]["servers"].startswith("kafka-0.kafka.argus.svc.cluster.local:9093,")


def test_the_rules_hold_for_a_new_stage(with_snapshots: Run, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["with_snapshots"]
    with pytest.raises(ConfigError) as raised:
        with_snapshots(replicas=4, memory={"requestMiB": 5000, "limitMiB": 6000})
    expected = ["snapshots.memory.requestMiB: 5000 is above vertical.maximumMemoryMiB = 4096"]
    if kind == "StatefulSet":
        expected.insert(0, "snapshots.replicas: 4, each on a machine of its own, and only 3 machines run pods")
    assert [problem.split(",")[0] for problem in raised.value.problems] == [each.split(",")[0] for each in expected]


def test_the_repository_has_a_folder_for_every_image() -> None:
    folders = {path.parent.name for path in (ROOT / "containers").glob("*/Dockerfile")}
    assert stages.images(stages.STAGES).keys() <= folders
