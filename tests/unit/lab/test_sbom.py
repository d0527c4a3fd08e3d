import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import sbom
from lab.config import ROOT

LOCK = f"rich==15.0.0 ; python_version >= '3.11' \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
GO = """module argus/it

go 1.25

require github.com/one/two/v2 v2.0.1

require (
	golang.org/x/net v0.50.0 // indirect
	example.com/old v1.0.0
)

replace example.com/old => example.com/new v1.1.0
"""
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <properties><kafka.version>3.9.1</kafka.version></properties>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>tools</artifactId><version>${kafka.version}</version></dependency>
  </dependencies>
</project>
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in {"a/requirements.lock": LOCK, "b/requirements.lock": LOCK, "go.mod": GO, "pom.xml": POM}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def parts(root: Path) -> dict[str, Any]:
    bill = json.loads(sbom.bill(sbom.materials(root)))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    return {each["purl"]: each for each in bill["components"]}


def test_every_pin_is_on_the_bill_once_with_the_files_that_name_it(repository: Path) -> None:
    found = parts(repository)
    assert {url for url in found if not url.startswith("pkg:github/")} == {
        "pkg:pypi/rich@15.0.0",
        "pkg:golang/github.com/one/two/v2@v2.0.1",
        "pkg:golang/golang.org/x/net@v0.50.0",
        "pkg:golang/example.com/new@v1.1.0",
        "pkg:maven/org.apache.kafka/tools@3.9.1",
    }
    rich = found["pkg:pypi/rich@15.0.0"]
    assert [each["value"] for each in rich["properties"]] == ["a/requirements.lock", "b/requirements.lock"]
    assert {each["content"] for each in rich["hashes"]} == {"a" * 64, "b" * 64}


def test_this_repository_s_bill_has_what_runs_in_production() -> None:
    found = parts(ROOT)
    names = {url.partition("@")[0] for url in found}
    assert {
        "pkg:pypi/pulumi",
        "pkg:pypi/confluent-kafka",
        "pkg:pypi/pyspark",
        "pkg:maven/org.apache.kafka/kafka_2.13",
        "pkg:golang/k8s.io/kubernetes",
        "pkg:github/kubernetes/kubernetes",
        "pkg:npm/%40vladmandic/human-models",
    } <= names
