"""Every mistake in a stack's configuration gets a message with its key and the remedy."""

import copy
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.producer.settings import Camera as ProducerCamera
from apps.producer.settings import Tls
from components.config import ConfigError, Settings, load_values
from components.config.reference import reference
from components.config.rules import CHECKPOINTS, Rule
from components.pipeline.producers import for_producer
from components.pipeline.rules import rules
from components.pipeline.stages import STAGES, every_image, images
from tests.signers import KEY, PRIVATE_KEY
from tests.unit.apps.messages.test_camera_url import LOGINS
from tests.unit.apps.producer.certificates import certificate
from tests.unit.apps.weights.graphs import anchors, folder, graph
from tests.unit.components.host_keys import host_key
from tests.unit.stacks import LAB, sections
from tests.unknown_key import UNKNOWN_KEY

ROOT = Path(__file__).parents[4]
Values = dict[str, Any]


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Values:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    values = sections(LAB, key)
    # The numbers below depend on the cameras.
    values["cameras"] = [{"name": f"cam-{number:02d}", "url": "synthetic://street"} for number in range(1, 41)]
    values["producers"] = {"count": 4, "framesPerSecond": 0.25}
    return values


def problems_of(values: Values) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        load_values(values, rules(STAGES))
    return raised.value.problems


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stacks_of_the_repository_are_valid(name: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(UNKNOWN_KEY)
    given = sections(ROOT / f"Pulumi.{name}.yaml", tmp_path / "key")
    settings = load_values(given, rules(STAGES))
    assert len(settings.machines.control_planes) == len(given["machines"]["controlPlanes"]) >= 3


def test_a_spare_machine_is_none_of_the_cluster_s(values: Values) -> None:
    values["machines"]["workers"][1]["standby"] = True
    settings = load_values(values)
    assert [machine.name for machine in settings.machines.standby] == ["worker2"]
    assert "worker2" not in [machine.name for machine in settings.all_machines]
    values["machines"]["workers"][1]["name"] = "cp1"
    assert any("the name 'cp1' is used more" in problem for problem in problems_of(values))


@pytest.mark.parametrize(
    ("producers", "pods"),
    [
        ({"framesPerSecond": 0.25}, 2),
        ({"framesPerSecond": 4.35}, 2),
        ({"framesPerSecond": 5, "framesPerPod": 60}, 4),
        ({"framesPerSecond": 5, "framesPerPod": 1}, 40),
        ({"camerasPerPod": 7}, 6),
        ({"count": 5}, 5),
    ],
    ids=str,
)
def test_there_are_as_many_producers_as_the_cameras_need(producers: Values, pods: int, values: Values) -> None:
    values["producers"] = producers
    assert load_values(values).producer_count == pods


BASTION = {"host": "bastion.example.org", "hostKey": host_key("bastion")}


def private_key(passphrase: str) -> str:
    """A new private key, as ssh-keygen writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file], check=True)
        return file.read_text()


def authority() -> str:
    """The PEM text of a certificate."""
    with tempfile.TemporaryDirectory() as made:
        return certificate(Path(made), "authority").pem


ROBOT = {"username": "robot", "password": "hush"}
DIGEST = f"sha256:{'0' * 64}"
HTTPS = {"name": "cam-01", "url": "https://camera/stream"}


def change(path: str, value: Any) -> Callable[[Values], None]:
    """An edit of one key, named `section.key` with list indices as numbers."""

    def edit(values: Values) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        target: Any = values
        for part in parents:
            target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
        target[last] = value

    return edit


def both(*edits: Callable[[Values], None]) -> Callable[[Values], None]:
    def edit(values: Values) -> None:
        for each in edits:
            each(values)

    return edit


def outside(**own: Any) -> Callable[[Values], None]:
    """A listener of Kafka for clients outside the cluster."""
    section = {"nodePort": 30092, "clients": {"report": {"read": ["frames"]}}, **own}
    return change("kafka.outside", section)


def tang(**own: str) -> Callable[[Values], None]:
    """A Tang server for the key of volumes."""
    server = {"url": "http://tang.example.com", "thumbprint": "T" * 43, **own}
    return change("storage", {"bounded": True, "encryption": {"key": "key1", "tang": [server]}})


def drop_control_plane(values: Values) -> None:
    values["machines"]["controlPlanes"].pop()


def repeat_camera(values: Values) -> None:
    values["cameras"].append(values["cameras"][0])


def repeat_model(values: Values) -> None:
    values["models"].append(values["models"][0])


def no_workers(values: Values) -> None:
    values["machines"]["workers"] = []
    values["cluster"]["schedulePodsOnControlPlanes"] = False


def pinned_but_one(values: Values) -> None:
    values["ssh"]["hostKeys"] = "pinned"
    machines = values["machines"]
    for machine in machines["controlPlanes"] + machines["workers"]:
        machine["hostKey"] = host_key(machine["name"])
    del machines["workers"][1]["hostKey"]


def two_kinds(values: Values) -> None:
    for index, type_ in ((0, "ssh-ed25519"), (2, "ecdsa-sha2-nistp384")):
        values["machines"]["controlPlanes"][index]["hostKey"] = host_key("any", type_)


MISTAKES = {
    "an even number of control planes": (drop_control_plane, "machines.controlPlanes: 2 machines"),
    "overlapping networks": (change("cluster.serviceNetwork", "10.244.8.0/24"), "overlaps cluster.serviceNetwork"),
    "the endpoint among the pods": (change("cluster.endpoint", "10.244.0.9"), "cluster.endpoint: 10.244.0.9 lies in"),
    "the endpoint is a machine": (change("cluster.endpoint", "10.77.0.11"), "is a machine's own address"),
    "machines among the services": (change("cluster.serviceNetwork", "10.77.0.0/24"), "contains machine cp1"),
    "the API server's port": (change("cluster.endpointPort", 6443), "cluster.endpointPort: 6443"),
    "too few pod addresses": (change("cluster.podNetwork", "10.244.0.0/22"), "holds 4 nodes"),
    "a network with host bits": (change("cluster.podNetwork", "10.244.0.1/16"), "cluster.podNetwork"),
    "an unsupported version": (change("cluster.kubernetesVersion", "1.29.0"), "1.29.0 is not supported"),
    "a malformed version": (change("cluster.kubernetesVersion", "latest"), "cluster.kubernetesVersion"),
    "checksums that are required": (
        change("cluster.requireChecksums", True),
        'cluster.checksums["1.36.1/kubelet"]: missing; give the SHA-256',
    ),
    "checksums of some programs": (
        change("cluster.checksums", {"1.36.1/kubelet": "0" * 64}),
        'cluster.checksums["1.36.1/kubeadm"]: missing',
    ),
    "a checksum of no program": (
        change("cluster.checksums", {"kubelet": "0" * 64}),
        "cluster.checksums: 'kubelet' is no program of a release; write `1.36.1/kubelet`",
    ),
    "a checksum that is none": (
        change("cluster.checksums", {"1.36.1/kubelet": "x"}),
        'cluster.checksums["1.36.1/kubelet"]: "x": must be 64 hexadecimal digits',
    ),
    "a floating base": (change("images.requireDigests", True), "images.base: debian:trixie-slim is a tag alone"),
    "a floating image": (
        change("images", {"requireDigests": True, "overrides": {"kafka": "apache/kafka:3"}}),
        "images.overrides.kafka: apache/kafka:3 is a tag alone",
    ),
    "a floating image of the cluster's": (
        change("images.requireDigests", True),
        'images.digests["10.77.0.1:5000/kube-apiserver:v1.36.1"]: missing',
    ),
    "a digest that is none": (
        change("images.digests", {"pause:3": "latest"}),
        'images.digests["pause:3"]: "latest": must be sha256:',
    ),
    "a digest of a digest": (
        change("images.digests", {f"pause@sha256:{'0' * 64}": f"sha256:{'0' * 64}"}),
        "has a digest already; write the reference without it",
    ),
    "a login where no image comes from": (
        change("images.registries", {"registry.example.com": {"pull": ROBOT}}),
        'images.registries["registry.example.com"]: no image of the stack comes from there, but from 10.77.0.1:5000,',
    ),
    "a login at a host without its port": (
        change("images", {"registry": "r.io:5000/a", "registries": {"r.io": {"pull": ROBOT}}}),
        'images.registries["r.io"]: no image of the stack comes from there, but from',
    ),
    "a login in plain": (
        change("images", {"registry": "r.io", "insecure": True, "registries": {"r.io": {"pull": ROBOT}}}),
        'images.registries["r.io"].pull: the registry speaks plain http, so whoever reads the network',
    ),
    "an authority of plain http": (
        change("images", {"registry": "r.io", "registries": {"r.io": {"insecure": True, "ca": authority()}}}),
        'images.registries["r.io"].ca: the registry speaks plain http',
    ),
    "a login at a mirror in plain": (
        both(
            change("images", {"registry": "r.io", "registries": {"m.io": {"pull": ROBOT}}}),
            change("cluster.registryMirror", "http://m.io"),
        ),
        'images.registries["m.io"].pull: the registry speaks plain http',
    ),
    "a mirror that is called plain and is not": (
        both(
            change("images", {"registry": "r.io", "registries": {"m.io": {"insecure": True}}}),
            change("cluster.registryMirror", "https://m.io"),
        ),
        'images.registries["m.io"].insecure: true, and cluster.registryMirror is https://m.io',
    ),
    "a push where nothing is pushed": (
        change("images", {"registry": "r.io", "base": "b.io/debian:1", "registries": {"b.io": {"push": ROBOT}}}),
        'images.registries["b.io"].push: nothing is pushed there',
    ),
    "a registry of which nothing is said": (
        change("images", {"registry": "r.io", "registries": {"r.io": {}}}),
        'images.registries["r.io"]: says nothing; give pull, push, ca or insecure',
    ),
    "a registry by its URL": (
        change("images.registries", {"https://r.io": {"pull": ROBOT}}),
        "must be host[:port] in small letters, as references of images begin",
    ),
    "a login of two parts": (
        change("images", {"registry": "r.io", "registries": {"r.io": {"pull": {**ROBOT, "username": "robot:hush"}}}}),
        'images.registries["r.io"].pull.username: "robot:hush": must be a user name, without a colon',
    ),
    "a password of two lines": (
        change("images", {"registry": "r.io", "registries": {"r.io": {"pull": {**ROBOT, "password": "hu\nsh"}}}}),
        'images.registries["r.io"].pull.password: (secret): a password or token of a registry has at least one sign',
    ),
    "half a login": (
        change("images", {"registry": "r.io", "registries": {"r.io": {"pull": {"username": "robot"}}}}),
        'images.registries["r.io"].pull.password: required and missing',
    ),
    "an authority of a registry that is none": (
        change("images", {"registry": "r.io", "registries": {"r.io": {"ca": "/etc/ca.pem"}}}),
        'images.registries["r.io"].ca: (secret): this is no certificate',
    ),
    "a platform that no machine is": (change("images.platform", "linux/riscv64"), "images.platform"),
    "signers of tags": (
        change("images.signers", [{"images": "*", "keys": [KEY]}]),
        "images.requireDigests: needed with images.signers",
    ),
    "a key that signs and nobody who verifies": (
        change("images.signing", {"privateKey": PRIVATE_KEY}),
        "images.signers: needed with images.signing",
    ),
    "a signer without a key": (
        change("images.signers", [{"images": "*"}]),
        "images.signers[0]: give the keys of which one must have signed, or `unsigned: true`",
    ),
    "a signer with keys that does not sign": (
        change("images.signers", [{"images": "*", "keys": [KEY], "unsigned": True}]),
        "images.signers[0]: give the keys",
    ),
    "a private key of a signer": (
        change("images.signers", [{"images": "*", "keys": [PRIVATE_KEY]}]),
        "images.signers[0].keys[0]: (secret): this is a private key, which is no longer secret",
    ),
    "an image without a signer": (
        change("images", {"signers": [{"images": "kafka*", "keys": [KEY]}], "overrides": {"ui": "r.example.com/ui:1"}}),
        "images.signers: no entry is for r.example.com/ui:1 (images.overrides.ui); add one with the keys",
    ),
    "a digest without a signer": (
        change("images", {"signers": [{"images": "kafka*", "keys": [KEY]}], "digests": {"pause:3": DIGEST}}),
        'images.signers: no entry is for pause:3 (images.digests["pause:3"])',
    ),
    "a base without a signer": (
        change("images.signers", [{"images": "10.77.0.1:5000/*", "keys": [KEY]}]),
        "images.signers: no entry is for debian:trixie-slim (images.base)",
    ),
    "what is built here without a signer": (
        change("images.signers", [{"images": "debian:*", "unsigned": True}]),
        "images.signers: none with keys is for 10.77.0.1:5000/argus/kafka, which is built here",
    ),
    "what is built here accepted unsigned": (
        change("images.signers", [{"images": "*", "unsigned": True}]),
        "images.signers: none with keys is for 10.77.0.1:5000/argus/kafka",
    ),
    "no key that signs": (change("images.signing", {"passphrase": "hush"}), "images.signing: set exactly one of"),
    "a key that signs in no file": (
        change("images.signing.privateKeyFile", "/nowhere/cosign.key"),
        "images.signing.privateKeyFile: /nowhere/cosign.key does not exist; `cosign generate-key-pair`",
    ),
    "a key that signs of another kind": (
        change("images.signing.privateKey", private_key("hush")),
        "images.signing.privateKey: no key as cosign makes it",
    ),
    "a machine's IPv6 address": (change("machines.workers.0.address", "fd00::21"), "IPv6 is not supported"),
    "an IPv6 endpoint": (change("cluster.endpoint", "[fd00::10]"), "IPv6 is not supported"),
    "an IPv6 address with its card": (change("machines.workers.0.address", "fe80::1%eth0"), "IPv6 is not supported"),
    "IPv6 pods": (change("cluster.podNetwork", "fd00:10::/56"), "IPv6 is not supported"),
    "IPv6 services": (change("cluster.serviceNetwork", "fd00:96::/112"), "IPv6 is not supported"),
    "a machine by its name": (change("machines.workers.0.address", "worker1.example"), "must be an IPv4 address"),
    "a duplicate host": (change("machines.workers.0.address", "10.77.0.11"), "address 10.77.0.11 is used more"),
    "a duplicate name": (change("machines.workers.0.name", "cp1"), "the name 'cp1' is used more"),
    "a name that is no host name": (change("machines.workers.0.name", "Worker_1"), "machines.workers[0].name"),
    "a duplicate camera": (repeat_camera, "cameras: the name 'cam-01' is used more"),
    "an unknown scheme": (change("cameras.0.url", "ftp://camera/1"), "the scheme 'ftp' is not one of"),
    "credentials in a URL": (change("cameras.0.url", "rtsp://me:hush@camera/1"), "cameraCredentials"),
    "a camera at no port": (change("cameras.0.url", "rtsp://camera:99999/1"), "the port is no number from 1 to 65535"),
    "a URL without a host": (change("cameras.0.url", "rtsp:///1"), "the URL names no host"),
    "a login in the query": (
        change("cameras.0.url", "http://camera/video.cgi?user=me&pwd=hush"),
        "{username} or user={password}, and set cameraCredentials",
    ),
    "a place for a login without one": (
        change("cameras.0.url", "http://camera/video.cgi?pwd={password}"),
        "cameraCredentials.cam-01: required, because the camera's url has a place for its login; give username and",
    ),
    "a login that is too long for FFmpeg": (
        both(
            change("cameras.0.url", "rtsp://camera/1"),
            change("cameraCredentials", {"cam-01": {"username": "admin", "password": "#" * 42}}),
        ),
        "cameraCredentials.cam-01: too long for RTSP",
    ),
    "two ways to check a certificate": (
        change("cameras.0", {**HTTPS, "tls": {"fingerprint": "ab" * 32, "verify": False}}),
        "cameras[0].tls: of cam-01: fingerprint and verify: false exclude each other",
    ),
    "half a fingerprint": (
        change("cameras.0", {**HTTPS, "tls": {"fingerprint": "ab:cd"}}),
        'cameras[0].tls.fingerprint: of cam-01: "ab:cd": a SHA-256 fingerprint has 64 hexadecimal digits',
    ),
    "no certificate": (
        change("cameras.0", {**HTTPS, "tls": {"ca": "/etc/ca.pem"}}),
        "cameras[0].tls.ca: of cam-01: (secret): this is no certificate",
    ),
    "half a certificate": (
        change("producers.tls", {"ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}),
        "producers.tls.ca: (secret): this certificate is damaged",
    ),
    "the key of an authority": (
        change("producers.tls", {"ca": "-----BEGIN EC PRIVATE KEY-----\nhush\n"}),
        "producers.tls.ca: (secret): this is a private key, which is no longer secret",
    ),
    "one certificate for all cameras": (
        change("producers.tls", {"fingerprint": "ab" * 32}),
        "producers.tls.fingerprint: every camera has a certificate of its own",
    ),
    "a camera without a certificate": (
        change("cameras.0.tls", {"verify": False}),
        "cameras[0].tls: cam-01 shows no certificate",
    ),
    "UDP beside TLS": (
        change("cameras.0", {"name": "cam-01", "url": "rtsps://camera/1", "transport": "udp"}),
        "cameras[0].transport: pictures of rtsps:// travel in its TLS connection",
    ),
    "a mask without area": (change("cameras.0.masks", [[0.5, 0, 0.1, 1]]), "needs x1 < x2"),
    "a login for no camera": (
        change("cameraCredentials", {"nobody": {"username": "u", "password": "p"}}),
        "there is no camera 'nobody'",
    ),
    "two nodes of Elasticsearch": (
        change("elasticsearch.replicas", 2),
        "elasticsearch.replicas: 2 nodes have one voter",
    ),
    "more producers than cameras": (change("producers.count", 41), "producers.count: 41"),
    "a duplicate model": (repeat_model, "models: the name 'objects' is used more"),
    "an overload that a trigger reaches": (
        change("models.1.overload", {"policy": "thin", "seconds": 4}),
        "models[1].overload.seconds: 4 is not more than twice the triggerSeconds (2) of motion",
    ),
    "an overload before an executor comes": (
        change("models.1", {"name": "m", "kind": "motion", "overload": {"policy": "thin", "seconds": 10}}),
        "models[1].overload.seconds: 10 is not more than the executors' targetLagSeconds (10) of m",
    ),
    "an application of no model": (
        change("models.1.application", "faces"),
        "models[1].application: there is no model 'faces'; name one of objects, motion",
    ),
    "an application of its own, named": (
        change("models.1.application", "motion"),
        "models[1].application: motion names itself; remove the key",
    ),
    "missing weights": (change("models.0.weights", "/nowhere/best.pt"), "/nowhere/best.pt does not exist"),
    "a gate for motion": (change("models.1.gate", {"enabled": True}), "a model of kind motion has no gate"),
    "a gate without time": (change("models.0.gate", {"seconds": 0}), "models[0].gate.seconds"),
    "weights for motion": (change("models.1.weights", "/nowhere/best.pt"), "a model of kind motion has no weights"),
    "more tasks than partitions": (change("models.0.executors", {"maximum": 41}), "41 executors x 1 cores = 41 tasks"),
    "fewer executors than the fewest": (
        change("models.0.executors", {"minimum": 3, "maximum": 2}),
        "minimum 3 is above maximum 2; lower one",
    ),
    "more pods than partitions": (
        change("filebeat.replicas", {"maximum": 41}),
        "filebeat.replicas.maximum: 41 pods, but only kafka.partitions = 40",
    ),
    "a load that no number of pods carries": (
        change("consumer.replicas", {"recordsPerSecond": 12}),
        "2 pods x recordsPerSecond 12 = 24 records/s, and the cameras and models make 30; 3 pods are needed",
    ),
    "memory above its limit": (
        change("consumer.memory", {"requestMiB": 400, "limitMiB": 300}),
        "consumer.memory: requestMiB 400 is above limitMiB 300",
    ),
    "more memory than any pod may get": (
        change("ui", {"vertical": "apply", "memory": {"requestMiB": 8192, "limitMiB": 9000}}),
        "ui.memory.requestMiB: 8192 is above vertical.maximumMemoryMiB = 4096",
    ),
    "no word for vertical": (change("ui.vertical", "always"), "ui.vertical:"),
    "more consumers than machines": (
        change("consumer.replicas", {"maximum": 6}),
        "consumer.replicas.maximum: 6, each on",
    ),
    "an unknown image": (change("images.overrides", {"kafak": "x"}), "there is no image 'kafak'"),
    "a login for a registry": (change("images.registry", "me:hush@registry:5000/argus"), "argus:images.registries has"),
    "a registry with a scheme": (change("images.registry", "https://registry/argus"), "must be host[:port][/path]"),
    "a login for an image": (
        change("images.overrides", {"kafka": "me:hush@registry/kafka"}),
        "images.overrides.kafka: (not shown: it may hold a login): must be [host[:port]/]name",
    ),
    "a login for a pinned image": (
        change("images.digests", {"me:hush@registry/kafka": f"sha256:{'0' * 64}"}),
        "images.digests.(not shown)",
    ),
    "a base with a scheme": (change("images.base", "https://registry/debian"), "must be [host[:port]/]name"),
    "an empty registry": (change("images.registry", ""), "must be host[:port][/path]"),
    "no registry": (change("images", {}), "images.registry: required"),
    "quotas of clients that nobody knows": (
        change("kafka", {"transport": "plain", "quotas": {}}),
        "kafka.quotas: with kafka.transport: plain brokers do not know their clients",
    ),
    "a quota of nobody": (
        change("kafka.quotas", {"clients": {"kafka": {"requestPercentage": 50}}}),
        "kafka.quotas.clients: no client of Kafka is called 'kafka'; they are producer, model-objects",
    ),
    "a quota above the whole broker": (change("kafka.quotas", {"requestPercentage": 601}), "kafka.quotas.requestPerc"),
    "a quota below a frame": (
        change("kafka.quotas", {"readBytesPerSecond": 1_999_999}),
        "kafka.quotas.readBytesPerSecond: 1999999 is less than one frame may have, kafka.maxMessageBytes = 2000000",
    ),
    "a client's quota below a frame": (
        change("kafka.quotas", {"clients": {"producer": {"writeBytesPerSecond": 1}}}),
        "kafka.quotas.clients.producer.writeBytesPerSecond: 1 is less than",
    ),
    "clients outside of a Kafka that asks nobody": (
        both(change("kafka", {"transport": "prefer"}), outside()),
        "kafka.outside: with kafka.transport: prefer brokers allow what no rule denies",
    ),
    "a port outside that is none of a machine": (outside(nodePort=9094), "kafka.outside.nodePort:"),
    "ports outside beyond the last": (
        outside(nodePort=32766),
        "kafka.outside.nodePort: 3 brokers from 32766 on need ports up to 32768, and 32767 is the last",
    ),
    "a port outside that is the page's": (
        outside(nodePort=30079),
        "kafka.outside.nodePort: the brokers take 30079 to 30081, and 30080 is the page's (ui.nodePort)",
    ),
    "a client outside with a stage's name": (
        outside(clients={"producer": {"read": ["frames"]}}),
        "kafka.outside.clients.producer: this is the name of a stage",
    ),
    "a client outside with a model's name": (
        outside(clients={"model-next": {"read": ["frames"]}}),
        "kafka.outside.clients.model-next: this is the name of a stage, or may be a model's",
    ),
    "a client outside that reads what is not there": (
        outside(clients={"report": {"read": ["results.object"]}}),
        "kafka.outside.clients.report.read: there is no topic 'results.object'; the topics are frames, results.objects",
    ),
    "a client outside that writes what is not there": (
        outside(clients={"report": {"write": ["frame"]}}),
        "kafka.outside.clients.report.write: there is no topic 'frame'",
    ),
    "a client outside in a stage's group": (
        outside(clients={"report": {"read": ["frames"], "groups": ["consumer"]}}),
        "kafka.outside.clients.report.groups: 'consumer' is the group of a stage",
    ),
    "a client outside in a model's group": (
        outside(clients={"report": {"read": ["frames"], "groups": ["spark.next"]}}),
        "kafka.outside.clients.report.groups: 'spark.next' is the group of a stage",
    ),
    "a client outside without a right": (
        outside(clients={"report": {"groups": ["report"]}}),
        "kafka.outside.clients.report: it may do nothing; give read or write",
    ),
    "a listener outside for nobody": (outside(clients={}), "kafka.outside.clients:"),
    "a host outside with a port": (outside(host="kafka.example.com:9094"), "kafka.outside.host:"),
    "folders that are to be encrypted": (
        change("storage", {"encryption": {"key": "key1"}}),
        "storage: encryption needs `bounded: true`",
    ),
    "volumes of a class that are to be encrypted": (
        change("storage", {"encryption": {"key": "key1"}, "className": "fast"}),
        "storage: encryption is of volumes that Argus makes, and className names 'fast': remove encryption",
    ),
    "an encryption without the name of a key": (
        change("storage", {"bounded": True, "encryption": {}}),
        "storage.encryption.key: required and missing",
    ),
    "a Tang server with a path": (
        tang(url="http://tang.example.com/adv"),
        "must be http://host:port of a Tang server, without a path",
    ),
    "a Tang server whose thumbprint is cut": (tang(thumbprint="T" * 27), "storage.encryption.tang[0].thumbprint:"),
    "too few machines": (change("kafka.replicas", 6), "only 5 machines run pods"),
    "nowhere to run": (no_workers, "no machine may run pods"),
    "a manifest that is not there": (
        change("cluster.network.manifest", "/nowhere/cni.yaml"),
        "/nowhere/cni.yaml does not",
    ),
    "a login in the URL of a manifest": (
        change("cluster.network.manifest", "https://me:hu/sh@x/cni.yaml"),
        "cluster.network.manifest: (not shown",
    ),
    "a manifest over plain http": (change("cluster.network.manifest", "http://x/cni.yaml"), "must be an https:// URL"),
    "a login for a manifest": (
        change("cluster.network.manifest", "https://me:hush@x/cni.yaml"),
        "download the manifest",
    ),
    "policies of a network of one's own": (
        both(
            change("cluster.networkPolicies", "enforced"),
            change("cluster.network", {"manifest": "tests/e2e/kube-router.yaml"}),
        ),
        "cluster.networkPolicies: enforced is for Argus's own network",
    ),
    "clients of an API that nothing guards": (
        both(change("cluster.hostFirewall", False), change("cluster.apiClients", ["192.0.2.0/24"])),
        "cluster.apiClients: nothing refuses others with cluster.hostFirewall: off; remove one of the two keys",
    ),
    "a client that is no network": (change("cluster.apiClients", ["192.0.2.1/24"]), "cluster.apiClients"),
    "policies that are half enforced": (
        change("cluster.networkPolicies", "audit"),
        'cluster.networkPolicies: "audit"',
    ),
    "another network's name": (change("cluster.network", {"calico": True}), "cluster.network.calico: unknown key"),
    "a missing key file": (change("ssh.privateKeyFile", "/nowhere/key"), "/nowhere/key does not exist"),
    "two keys": (change("ssh.privateKey", "hush"), "exactly one of privateKeyFile, privateKey and agent"),
    "a login at a proxy": (
        change("cluster.proxy", {"http": "http://me:hush@proxy:3128"}),
        "cluster.proxy.http: (not shown: it may hold a login): a login does not belong in the URL: let the proxy know",
    ),
    "a page as a proxy": (change("cluster.proxy", {"https": "http://proxy/x.pac"}), "must be http://host:port"),
    "a list without a proxy": (
        change("cluster.proxy", {"noProxy": [".example.org"]}),
        "cluster.proxy: noProxy without a proxy",
    ),
    "a list of several in one": (change("cluster.proxy", {"http": "http://p:1", "noProxy": ["a,b"]}), "noProxy[0]"),
    "a key and an agent": (change("ssh.agent", True), "exactly one of privateKeyFile, privateKey and agent"),
    "no agent": (
        change("ssh", {"agent": True}),
        "ssh.agent: SSH_AUTH_SOCK is not set here, so there is no agent; start one",
    ),
    "a key without its passphrase": (
        change("ssh", {"privateKey": private_key("hush")}),
        "ssh.passphrase: the private key has one; `pulumi config set --secret --path 'argus:ssh.passphrase'`",
    ),
    "an old key without its passphrase": (
        change("ssh", {"privateKey": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"}),
        "ssh.passphrase: the private key has one",
    ),
    "a passphrase without a key": (
        change("ssh", {"privateKey": private_key(""), "passphrase": "hush"}),
        "ssh.passphrase: there is no private key here that has one",
    ),
    "a key that only OpenSSH reads": (
        change("ssh", {"privateKey": "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "passphrase": "hush"}),
        "ssh: the private key is encrypted in a form that pulumi-command cannot read",
    ),
    "a bastion that is not known": (
        change("ssh.bastion", {"host": "bastion.example.org"}),
        "ssh.bastion.hostKey: required and missing",
    ),
    "a bastion with two keys": (
        change("ssh.bastion", {**BASTION, "privateKey": "hush", "privateKeyFile": "~/key"}),
        "ssh.bastion: set privateKeyFile or privateKey, not both",
    ),
    "a bastion without its key": (
        change("ssh.bastion", {**BASTION, "privateKeyFile": "/nowhere/key"}),
        "ssh.bastion.privateKeyFile: /nowhere/key does not exist",
    ),
    "a login that is none": (
        change("ssh.bastion", {**BASTION, "user": "me\nProxyCommand evil"}),
        "ssh.bastion.user",
    ),
    "a machine behind a bastion that is not known": (
        change("ssh.bastion", BASTION),
        "machines.workers[1].hostKey: worker2 has none, and none is read through ssh.bastion; give",
    ),
    "a machine that is not pinned": (pinned_but_one, "machines.workers[1].hostKey: worker2 has none, and ssh.hostKeys"),
    "control planes with keys of two kinds": (two_kinds, "machines.controlPlanes: cp1's is ED25519, cp3's is ECDSA"),
    "an RSA host key": (
        change("machines.workers.0.hostKey", "ssh-rsa AAAAB3NzaC1yc2E="),
        "machines.workers[0].hostKey: of worker1: (secret): begins with none of",
    ),
    "neither pinned nor first": (change("ssh.hostKeys", "never"), "ssh.hostKeys"),
    "an unknown section": (change("kafak", {}), "kafak: unknown key"),
    "a renamed key": (change("ssh.mend", "today"), "ssh.mend: this key is now argus:ssh.rerun; rename it"),
    "an unknown key": (change("kafka.heapMib", 1), "kafka.heapMib: unknown key"),
    "a wrong type": (change("kafka.heapMiB", "much"), 'kafka.heapMiB: "much"'),
    "a missing key": (lambda values: values["cluster"].pop("endpoint"), "cluster.endpoint: required and missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, values: Values) -> None:
    edit, expected = MISTAKES[mistake]
    edit(values)
    assert any(expected in problem for problem in problems_of(values)), problems_of(values)


def test_a_key_of_volumes_may_be_sealed_by_tang_servers(values: Values) -> None:
    tang(url="http://tang.example.com:7500/")(values)
    (server,) = load_values(values, rules(STAGES)).storage.encryption.tang  # type: ignore[union-attr]
    assert server.url == "http://tang.example.com:7500"


def test_all_mistakes_are_reported_at_once(values: Values) -> None:
    drop_control_plane(values)
    change("cameras.0.url", "ftp://camera/1")(values)
    change("unknown", 1)(values)
    change("kafka.replicas", 6)(values)
    found = problems_of(values)
    for expected in ("machines.controlPlanes", "cameras[0].url", "unknown", "kafka.replicas"):
        assert any(problem.startswith(expected) for problem in found), found


UNREADABLE = {
    "cluster.endpoint": (change("machines.workers.0.name", "cp1"), "the name 'cp1' is used more"),
    "ssh.port": (two_kinds, "machines.controlPlanes: cp1's is ED25519"),
    "machines.workers": (change("cluster.endpointPort", 6443), "cluster.endpointPort: 6443"),
    "kafka.replicas": (change("elasticsearch.replicas", 6), "elasticsearch.replicas: 6, each on"),
    "consumer.volumeGiB": (change("filebeat.replicas", {"maximum": 41}), "filebeat.replicas.maximum: 41 pods"),
    "images.insecure": (repeat_model, "models: the name 'objects' is used more"),
    "cameras.0.url": (change("images.registry", None), "images.registry: required to build zookeeper"),
    "producers.count": (
        change("cameraCredentials", {"nobody": {"username": "u", "password": "p"}}),
        "there is no camera 'nobody'",
    ),
}


@pytest.mark.parametrize("key", UNREADABLE)
def test_a_section_that_cannot_be_read_silences_no_rule_about_others(key: str, values: Values) -> None:
    change(key, {"what": "is this"})(values)
    edit, expected = UNREADABLE[key]
    edit(values)
    found = problems_of(values)
    section, _, field = key.partition(".")
    assert any(problem.startswith(section) and field.rpartition(".")[2] in problem for problem in found), found
    assert any(expected in problem for problem in found), found


def test_a_rule_that_reads_more_than_it_needs_fails_and_one_without_its_sections_is_left_out(values: Values) -> None:
    def check(settings: Settings) -> list[str]:
        return [f"kafka.replicas: {settings.kafka.replicas}"]

    with pytest.raises(AttributeError, match="kafka"):
        load_values(values, [Rule(needs=frozenset({"ssh"}), check=check)])
    rule = Rule(needs=frozenset({"ssh", "kafka"}), check=check)
    with pytest.raises(ConfigError, match=r"kafka\.replicas: 3"):
        load_values(values, [rule])
    change("ssh.port", "what")(values)
    with pytest.raises(ConfigError) as raised:
        load_values(values, [rule])
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["ssh.port"]


def test_a_secret_is_never_printed(values: Values) -> None:
    change("cameraCredentials", {"cam-01": {"username": "", "password": ["hush"]}})(values)
    change("cameras.0.url", "rtsp://me:hush@camera/1")(values)
    change("machines.workers.0.hostKey", "-----BEGIN OPENSSH PRIVATE KEY-----\nhush")(values)
    assert "hush" not in "\n".join(problems_of(values))


@pytest.mark.parametrize("url", LOGINS)
def test_no_part_of_a_cameras_login_is_printed(values: Values, url: str) -> None:
    places = ["cameras.0.url", "cameras.0", "cameras", "cameraCredentials"]
    # Where no URL is expected, a word without a URL's signs is shown.
    places += ["cameras.0.name", "cluster.binaries"] if "@" in url else []
    for place in places:
        given = copy.deepcopy(values)
        change(place, url)(given)
        assert "GEHEIM" not in "\n".join(problems_of(given)), place
    change("cameraCredentials", {"cam-01": url, "cam-02": [url], "cam-03": {"username": [url]}})(values)
    if "@" in url:
        values["cameraCredentials"][url] = {}
    assert "GEHEIM" not in "\n".join(problems_of(values))


@pytest.mark.parametrize(
    "key", ["cluster.binaries", "cluster.registryMirror", "cluster.network.manifest", "images.registry"]
)
@pytest.mark.parametrize("url", [*(url for url in LOGINS if "://" in url), "s3://bucket/y?X-Amz-Signature=GEHEIM"])
def test_a_login_in_any_other_url_is_refused_and_not_printed(values: Values, url: str, key: str) -> None:
    change(key, f"https://{url.partition('://')[2]}")(values)
    (problem,) = problems_of(values)
    assert problem.startswith(f"{key}: (not shown: it may hold a login): ")
    assert "GEHEIM" not in problem and "admin" not in problem


def test_a_certificate_is_checked_as_the_camera_s_entry_says_else_as_that_of_all(
    values: Values, tmp_path: Path
) -> None:
    authority = certificate(tmp_path, "authority").pem
    values["producers"]["tls"] = {"ca": authority}
    own = {"by-all": None, "by-the-system": {}, "by-its-own": {"fingerprint": ":".join(["AB"] * 32)}}
    values["cameras"] = [
        {"name": "plain", "url": "rtsp://camera/1"},
        *({"name": name, "url": "rtsps://camera/1", "tls": tls} for name, tls in own.items()),
    ]
    values["producers"]["count"] = 1
    cameras = load_values(values, rules(STAGES)).filled_cameras
    # As the producer reads it.
    read = {each.name: ProducerCamera.model_validate(for_producer(each)).tls for each in cameras}
    assert read == {
        "plain": None,
        "by-all": Tls(ca=authority),
        "by-the-system": Tls(),
        "by-its-own": Tls(fingerprint="ab" * 32),
    }


def test_pinned_machines_are_known_by_their_keys(values: Values) -> None:
    pinned_but_one(values)
    values["machines"]["workers"][1]["hostKey"] = f"{host_key('worker2', 'ssh-ed25519')} root@worker2"
    settings = load_values(values)
    assert settings.machines.control_planes[0].host_key == host_key("cp1")
    assert settings.machines.workers[1].host_key == host_key("worker2", "ssh-ed25519")


def test_weights_are_looked_at_before_anything_is_touched(values: Values, tmp_path: Path) -> None:
    place = folder(tmp_path / "whole", graph([anchors((48, 32, 20, 10, 0.9, 0.1))]))
    change("models.0.weights", str(place))(values)
    assert load_values(values).models[0].network == place
    change("models.0.labels", ["person", "lorry"])(values)
    assert "models[0].labels: the model knows no 'lorry'; it knows person, car" in problems_of(values)
    cut = Path(shutil.copytree(place, tmp_path / "cut"))
    (cut / "model.bin").write_bytes(b"")
    change("models.0.weights", str(cut))(values)
    assert any(
        found.startswith("models[0].weights: ") and found.endswith("copy the whole export again")
        for found in problems_of(values)
    )


@pytest.mark.parametrize("name", ["nanodet", "scenes"])
def test_arguss_own_weights_are_named(name: str, values: Values) -> None:
    change("models.0.weights", name)(values)
    assert load_values(values).models[0].network.name == name


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("size", "sharpest", "must be fast, sharp or WIDTHxHEIGHT"),
        ("size", "100x100", "takes multiples of 32"),
        ("scoreThresholds", {"lorry": 0.5}, "scoreThresholds: the model knows no 'lorry'; it knows person, bicycle"),
        ("scoreThresholds", {"person": 1.5}, "less than or equal to 1"),
        ("precision", "int4", "'auto', 'int8', 'bf16' or 'fp32'"),
        ("contract", {"colour": "BGR"}, "says colour 'RGB' in its metadata"),
        ("contract", {"color": "BGR"}, "contract.color: of objects: unknown key; did you mean colour?"),
    ],
)
def test_what_the_weights_cannot_do_is_refused(key: str, value: object, problem: str, values: Values) -> None:
    change(f"models.0.{key}", value)(values)
    assert any(problem.lower() in found.lower() for found in problems_of(values)), problems_of(values)


@pytest.mark.parametrize(
    ("pickled", "problem"),
    [
        *((f"cultralytics.nn.tasks\n{kind}\n".encode(), None) for kind in sorted(CHECKPOINTS)),
        (b"cultralytics.nn.tasks\nWorldModel\n", "holds a WorldModel; Argus runs ClassificationModel"),
        (b"ctorchvision.models\nResNet\n", "is no checkpoint of Ultralytics"),
        (None, "is no checkpoint of Ultralytics"),
    ],
)
def test_a_checkpoint_is_of_a_kind_that_runs(
    pickled: bytes | None, problem: str | None, values: Values, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "best.pt"
    checkpoint.touch()
    if pickled is not None:
        with zipfile.ZipFile(checkpoint, "w") as archive:
            archive.writestr("best/data.pkl", b"\x80\x02" + pickled)
    change("models.0.weights", str(checkpoint))(values)
    if problem is None:
        assert load_values(values).models[0].weights == checkpoint
    else:
        assert any(problem in found for found in problems_of(values))


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == reference(), "run `make docs`"


def together(values: Values, **keys: Any) -> Values:
    """Give the stack one application for both models, where the second one has further keys."""
    values["models"] = [{"name": "objects", "kind": "objects"}, {"name": "motion", "kind": "motion", **keys}]
    values["models"][1]["application"] = "objects"
    return values


def test_models_can_share_an_application(values: Values) -> None:
    settings = load_values(together(values, scoreThreshold=0.5))
    assert {name: [each.name for each in models] for name, models in settings.applications.items()} == {
        "objects": ["objects", "motion"]
    }
    del values["models"][1]["application"]
    assert [len(models) for models in load_values(values).applications.values()] == [1, 1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("executors", {"maximum": 1}),
        ("coresPerExecutor", 1),
        ("executorMemoryMiB", 1400),
        ("driverMemoryMiB", 900),
        ("vertical", "off"),
        ("triggerSeconds", 2),
        ("batchSize", 16),
    ],
)
def test_what_belongs_to_an_application_is_set_at_the_model_that_it_is_named_after(
    key: str, value: Any, values: Values
) -> None:
    assert list(problems_of(together(values, **{key: value}))) == [
        f"models[1].{key}: belongs to the whole application; set it at the model objects, or remove motion's key "
        "application"
    ]


def test_an_application_has_one_name(values: Values) -> None:
    together(values)["models"].append({"name": "faces", "kind": "motion", "application": "motion"})
    assert list(problems_of(values)) == [
        "models[2].application: motion runs in the application of objects itself; name a model that has its own, or "
        "remove the key there"
    ]


def test_the_code_of_all_models_of_an_application_has_room_in_its_executor(values: Values, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("class Model:\n    def detect(self, frame):\n        return ()\n")
    code = {"kind": "python", "code": str(tmp_path), "callMemoryMiB": 400}
    values["models"] = [{"name": "one", **code}, {"name": "two", **code, "application": "one"}]
    assert list(problems_of(values)) == [
        "models[0].executorMemoryMiB: 500 for Spark + 1 cores x (callMemoryMiB 800 + 150 for a Python worker) = 1450 "
        "MiB, more than 1400; give at least 1450, or less callMemoryMiB or coresPerExecutor",
        "models[0].driverMemoryMiB: the driver starts the code once, with 150 + callMemoryMiB 800 = 950 MiB, more than "
        "900; give at least 950, or less callMemoryMiB",
    ]
    values["models"][0] |= {"executorMemoryMiB": 1450, "driverMemoryMiB": 950}
    load_values(values, rules(STAGES))


@pytest.mark.parametrize("value", ["", "a", "433e40", "y", "0o17", "yes", "1.5", "a_b.c-d", "x" * 63])
def test_a_label_that_kubernetes_takes_arrives_as_it_is(values: Values, value: str) -> None:
    values["machines"]["workers"][0]["labels"] = {"example.org/rack": value, "y": value}
    assert load_values(values, rules(STAGES)).machines.workers[0].labels == {"example.org/rack": value, "y": value}


@pytest.mark.parametrize(
    "value", ["row 1", " bar", "bar ", "a/b", "it's $(id)", "-a", "a.", "ä", "a\n", "x" * 64, "a,b", "*"]
)
def test_a_label_that_kubernetes_refuses_is_refused_by_key(values: Values, value: str) -> None:
    values["machines"]["workers"][0]["labels"] = {"rack": value}
    (problem,) = problems_of(values)
    assert problem.startswith("machines.workers[0].labels.rack: ")
    assert "Kubernetes refuses this value" in problem


@pytest.mark.parametrize("value", [True, 17, 4.33e42, None])
def test_a_label_that_another_parser_read_as_no_text_is_refused_by_key(values: Values, value: object) -> None:
    values["machines"]["controlPlanes"][0]["labels"] = {"rack": value}
    (problem,) = problems_of(values)
    assert problem.startswith("machines.controlPlanes[0].labels.rack: ")


@pytest.mark.parametrize(
    "key",
    ["", "a b", "/a", "a/", "a/b/c", "Example.org/a", "-a", "a=b", f"{'x' * 64}", "a..b/c", "kubernetes.io/hostname"],
)
def test_the_key_of_a_label_that_kubernetes_refuses_is_refused(values: Values, key: str) -> None:
    values["machines"]["workers"][0]["labels"] = {key: "a"}
    (problem,) = problems_of(values)
    assert problem.startswith("machines.workers[0].labels")


@pytest.mark.parametrize(
    "taint", ["dedicated:NoSchedule", "gpu=yes:PreferNoSchedule", "example.org/a=0o17:NoExecute", "a=:NoExecute"]
)
def test_a_taint_that_kubernetes_takes_arrives_as_it_is(values: Values, taint: str) -> None:
    values["machines"]["workers"][0]["taints"] = [taint]
    assert load_values(values, rules(STAGES)).machines.workers[0].taints == (taint,)


@pytest.mark.parametrize(
    "taint",
    [
        "",
        "dedicated",
        "dedicated=",
        ":NoSchedule",
        "a:noSchedule",
        "a b:NoSchedule",
        "a=b c:NoSchedule",
        "a=b=c:NoSchedule",
        "a:NoSchedule ",
        "a:NoSchedule-",
        "a:b:NoSchedule",
    ],
)
def test_a_taint_that_kubernetes_refuses_is_refused_by_key(values: Values, taint: str) -> None:
    values["machines"]["workers"][0]["taints"] = [taint]
    (problem,) = problems_of(values)
    assert problem.startswith("machines.workers[0].taints[0]: ")


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("openssl", "openssl makes the stack's certificates on this computer, where it is not found; install openssl"),
        ("ssh", "ssh reaches the machines on this computer, where it is not found; install OpenSSH's client"),
        ("ssh-keyscan", "ssh-keyscan reads the machines' host keys on this computer"),
        ("ssh-keygen", "ssh-keygen reads the keys for machines on this computer"),
        ("curl", "images.registry: curl asks the registry for the images that are built on this computer"),
        ("cosign", "images.signers: cosign verifies images on this computer"),
    ],
)
def test_a_program_that_this_computer_lacks_is_named(
    lacks: str, said: str, values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values["images"]["signers"] = [{"images": "*", "keys": [KEY]}]
    here = tmp_path / "programs"
    here.mkdir()
    for name in {"openssl", "ssh", "ssh-keyscan", "ssh-keygen", "curl", "cosign"} - {lacks}:
        (here / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(here))
    missing = [problem for problem in problems_of(values) if "not found" in problem]
    assert len(missing) == 1
    assert said in " ".join(missing[0].split())


ACME = {"server": "https://acme.example.org/directory", "dnsProvider": "route53"}
PLAIN = {"elasticsearch.transport": "plain"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PLAIN, "network-policies (cluster.networkPolicies)"),
        (PLAIN | {"ui.url": "https://page.example.org", "ui.acme": ACME}, "acme (ui.acme)"),
        (PLAIN | {"elasticsearch.nodeTransport": "both"}, "elasticsearch-proxy (elasticsearch.nodeTransport)"),
        ({"elasticsearch.nodeTransport": "plain"}, "elasticsearch-proxy (elasticsearch.transport)"),
        ({"elasticsearch.transport": "both"}, "elasticsearch-proxy (elasticsearch.transport)"),
        (
            {"elasticsearch.transport": "tls", "elasticsearch.nodeTransport": "tls"},
            "elasticsearch-proxy (elasticsearch.transport and elasticsearch.nodeTransport)",
        ),
    ],
)
def test_an_image_that_is_missing_is_named_with_the_keys_that_ask_for_it(
    given: dict[str, Any], said: str, values: Values
) -> None:
    values["images"] = {"overrides": {name: f"registry.example.com/{name}:1" for name in images(STAGES)}}
    for key, value in given.items():
        change(key, value)(values)
    assert f"images.registry: required to build {said}; name one that the machines pull from" in problems_of(values)


def test_a_stack_that_builds_and_signs_nothing_needs_neither_curl_nor_cosign(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values["images"] = {"overrides": {name: f"registry.example.com/{name}:1" for name in every_image(STAGES)}}
    for name in ("openssl", "ssh", "ssh-keyscan", "ssh-keygen"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    load_values(values, rules(STAGES))
