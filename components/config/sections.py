"""The sections of `Pulumi.<stack>.yaml`, one class each; docs/config.md is made from the fields' descriptions.

Keys are camelCase in the stack file and snake_case here. Checks that need more than one section are in rules.py.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache, cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from apps.access.document import CAMERAS_PATTERN, USER_PATTERN, Role
from apps.access.hashes import check_password_hash, check_token_hash
from apps.messages import camera_tls, camera_url
from apps.weights.contract import Contract, Precision
from components import versions
from components.config.addresses import Address, AddressRange
from components.config.forms import NAME, check_recipient, check_schedule, expanded, like
from components.config.manifest import check_source
from components.config.node_names import check_label_key, check_label_value, check_taint
from components.config.urls import (
    check_acme_server,
    check_download_url,
    check_host_name,
    check_image,
    check_issuer,
    check_page_url,
    check_proxy,
    check_registry,
    check_registry_host,
    check_tang,
    registry_of,
)
from components.public_keys import check_public_key
from components.ssh_keys import check_host_key

Name = Annotated[str, NAME]

ImageReference = Annotated[str, AfterValidator(check_image)]
Authorities = Annotated[str, AfterValidator(camera_tls.check_ca)]
RegistryHost = Annotated[str, AfterValidator(check_registry_host)]
Digest = Annotated[str, like(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits, in small letters")]
Checksum = Annotated[str, like(r"[0-9a-f]{64}", "64 hexadecimal digits, in small letters")]

PROGRAMS: Final = ("kubeadm", "kubelet", "kubectl")
"""The programs of a Kubernetes release that machines download."""

LabelKey = Annotated[str, AfterValidator(check_label_key)]
LabelValue = Annotated[str, AfterValidator(check_label_value)]
Taint = Annotated[str, AfterValidator(check_taint)]

LoginName = Annotated[str, like(r"[A-Za-z_][\w.-]*", "a login name alone: letters, digits, _, . and -")]

FIRST_NODE_PORT: Final = 30000
LAST_NODE_PORT: Final = 32767
"""Kubernetes' default range of the ports at which every machine serves."""

HTTPS_PORT: Final = 443

Fraction = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


UserPath = Annotated[Path, AfterValidator(expanded)]


def _secretly(check: Callable[[str], str]) -> AfterValidator:
    """A check of a secret's text."""

    def checked(secret: SecretStr) -> SecretStr:
        check(secret.get_secret_value())
        return secret

    return AfterValidator(checked)


def _word(value: object) -> object:
    """YAML 1.1 parsers read the word `off` as false."""
    return "off" if value is False else value


WeightsName = Literal["nanodet", "scenes"]
"""Argus's own weights, each a folder in ARGUS_WEIGHTS."""

DNS_PROVIDERS = Path(__file__).resolve().parents[2] / "containers/acme/providers.txt"
"""Those that the image's lego has."""

ARGUS_WEIGHTS = Path(__file__).resolve().parents[2] / "apps" / "spark_jobs" / "weights"

Vertical = Annotated[Literal["off", "recommend", "apply"], BeforeValidator(_word)]
"""Whether a stage's pods get memory and CPU by their use."""

_VERTICAL = (
    "Memory and CPU by use (argus:vertical). off: as given, from a pod's next start on; recommend: what would fit is "
    "said by `kubectl -n argus get vpa`, nothing changes; apply: "
)
VERTICAL = f"{_VERTICAL}running pods are given it, without a restart."
VERTICAL_WITH_RESTART = (
    f"{_VERTICAL}pods are restarted for memory, never for CPU, one at a time and within the disruption budget, and "
    "their heap keeps its share of the memory. What a broker or a node of a database holds in the page cache counts as "
    "used, so it grows up to vertical.maximumMemoryMiB."
)


class Section(BaseModel):
    """A section refuses unknown keys and is never changed after loading."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=False, extra="forbid", frozen=True)


class PrivateKey(Section):
    """A private key, in a file or in the stack."""

    private_key_file: UserPath | None = Field(None, description="Path of the private key, `~` allowed.")
    private_key: SecretStr | None = Field(
        None, description="The private key itself, as a Pulumi secret, instead of privateKeyFile."
    )
    passphrase: SecretStr | None = Field(
        None, description="The passphrase of the private key, as a Pulumi secret, where it has one."
    )

    @cached_property
    def key(self) -> str:
        """The private key, read once from its file if the stack names one; empty where the stack gives none."""
        if self.private_key_file is not None:
            return self.private_key_file.read_text(encoding="utf-8")
        return self.private_key.get_secret_value() if self.private_key else ""

    @property
    def key_passphrase(self) -> str:
        """The passphrase of the private key; empty where it has none."""
        return self.passphrase.get_secret_value() if self.passphrase else ""


class Login(PrivateKey):
    """What is shown to an sshd: a private key, or one of those that an agent holds."""


class Bastion(Login):
    """The host through which the machines are reached; without a key of its own, as ssh logs in to them."""

    host: Annotated[
        str, like(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", "a name or IPv4 address alone; user and port are keys")
    ] = Field(description="Its name or IPv4 address, as this computer reaches it.")
    port: Port = Field(22, description="TCP port of its sshd.")
    user: LoginName | None = Field(None, description="Login name there; unset: ssh.user. No shell is needed.")
    host_key: Annotated[str, AfterValidator(check_host_key)] = Field(
        description="Its public SSH host key, as a machine's `hostKey`; no other host is asked to pass anything on."
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.private_key_file is not None and self.private_key is not None:
            raise ValueError("set privateKeyFile or privateKey, not both; without them ssh's key is used")
        return self


class Ssh(Login):
    """How Argus reaches every machine."""

    user: str = Field("root", min_length=1, description="Login name; root, or a user with passwordless sudo.")
    port: Port = Field(22, description="TCP port of sshd.")
    rerun: str = Field(
        "",
        max_length=60,
        description="Any word, such as a date; when it changes, every step runs again on every machine, which undoes "
        "changes made there by hand.",
    )
    host_keys: Literal["firstUse", "pinned"] = Field(
        "firstUse",
        description="How a machine without `hostKey` is known: by the key that it shows first, or not at all (pinned).",
    )
    agent: bool = Field(
        False,
        description="Instead of a private key: those of the SSH agent that SSH_AUTH_SOCK names where Pulumi runs.",
    )
    bastion: Bastion | None = Field(
        None,
        description="A host through which the machines are reached over SSH. Each machine then needs its `hostKey`. "
        "The API at cluster.endpoint must be reached without it (operations.md).",
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if [self.private_key_file is None, self.private_key is None, not self.agent].count(False) != 1:
            raise ValueError("set exactly one of privateKeyFile, privateKey and agent")
        return self

    @property
    def bastion_login(self) -> Login:
        """What is shown to the bastion."""
        own = self.bastion is not None and (self.bastion.private_key_file or self.bastion.private_key)
        return self.bastion if own and self.bastion is not None else self

    @property
    def bastion_user(self) -> str:
        """Who logs in to the bastion."""
        return self.bastion.user or self.user if self.bastion is not None else ""


class Machine(Section):
    """One host, reached over SSH; it becomes the node of the same name."""

    name: Name = Field(description="Host and node name, unique in the stack.")
    address: Address = Field(description="IPv4 address for SSH and for the cluster's own traffic.")
    host_key: Annotated[str, AfterValidator(check_host_key)] | None = Field(
        None,
        description="Its public SSH host key, ECDSA or Ed25519, as in /etc/ssh/ssh_host_ecdsa_key.pub; no machine with "
        "another is touched.",
    )
    labels: dict[LabelKey, LabelValue] = Field({}, description="Node labels to set.")
    taints: tuple[Taint, ...] = Field((), description="Node taints to set, each `key=value:Effect` or `key:Effect`.")

    control_plane: ClassVar[bool] = True
    """Whether it runs Kubernetes' control plane; a Worker does not."""

    @property
    def host(self) -> str:
        """The address as text."""
        return str(self.address)


class Worker(Machine):
    """A host that only runs pods."""

    control_plane: ClassVar[bool] = False
    standby: bool = Field(
        False,
        description="A spare: left alone until this is taken out, and named where pods find no room. Set on a worker "
        "of the cluster, it takes the worker out.",
    )


class Machines(Section):
    """The hosts of the cluster."""

    control_planes: tuple[Machine, ...] = Field(
        min_length=1, description="An odd number of hosts, so that etcd keeps a majority when one dies."
    )
    workers: tuple[Worker, ...] = Field((), description="The hosts that only run pods.")

    @property
    def active_workers(self) -> tuple[Worker, ...]:
        """The workers that are not on standby."""
        return tuple(worker for worker in self.workers if not worker.standby)

    @property
    def standby(self) -> tuple[Worker, ...]:
        """The workers on standby."""
        return tuple(worker for worker in self.workers if worker.standby)


class KubeletOptions(Section):
    """Settings of every kubelet; the defaults suit real hosts, but not containers as machines."""

    cgroup_driver: Literal["systemd", "cgroupfs"] = Field(
        "systemd", description="Who manages cgroups; cgroupfs where the machine is itself a container."
    )
    fail_cgroup_v1: bool = Field(True, description="Refuse to start on cgroup v1, as Kubernetes does by default.")
    feature_gates: dict[str, bool] = Field({}, description="Feature gates of the kubelet.")


class KubeProxyOptions(Section):
    """Settings of every kube-proxy."""

    conntrack_max_per_core: int | None = Field(
        None,
        ge=0,
        description="Connection-tracking entries a core; 0 leaves the kernel's own (containers as machines).",
    )


class Network(Section):
    """The pods' network."""

    manifest: Annotated[str, AfterValidator(check_source)] | None = Field(
        None,
        min_length=1,
        description="Path (`~` allowed) or https:// URL of the manifest of a network of your own, such as Calico's or "
        "Cilium's rendered YAML, that is applied instead of Argus's network; what it must contain is in "
        "operations.md. It must give pods addresses of podNetwork. Images come from where it says (registryMirror "
        "applies). A change of the manifest is applied; a change between it and Argus's network needs a new cluster.",
    )


_BYPASS: Final = "one host, .domain or network, each an entry of the list"


class Proxy(Section):
    """The HTTP proxies through which machines download packages, programs and images; pods are not told of them."""

    http: Annotated[str, AfterValidator(check_proxy)] | None = Field(
        None, description="Proxy for http:// URLs, `http://host:port`, without a login."
    )
    https: Annotated[str, AfterValidator(check_proxy)] | None = Field(
        None, description="Proxy for https:// URLs; unset: the same as http."
    )
    no_proxy: tuple[Annotated[str, like(r"[A-Za-z0-9.][A-Za-z0-9.:/-]*", _BYPASS)], ...] = Field(
        (),
        description="Hosts, `.domains` and networks that are reached without a proxy, beside the cluster's own: each "
        "machine's network, the endpoint, podNetwork, serviceNetwork, .svc and .cluster.local.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.no_proxy and not (self.http or self.https):
            raise ValueError("noProxy without a proxy: set http or https, or remove it")
        return self


class Cluster(Section):
    """The Kubernetes cluster that the machines become."""

    name: Name = Field(description="Name of the cluster, seen in its kubeconfig.")
    endpoint: Address = Field(
        description="Virtual IP of the API, a free address on the control planes' network; keepalived holds it."
    )
    endpoint_port: Port = Field(8443, description="Port of the API at the virtual IP (HAProxy); not 6443.")
    kubernetes_version: Annotated[str, like(r"\d+\.\d+\.\d+", "three numbers, such as 1.36.1, without a v")] = Field(
        versions.KUBERNETES, description="Kubernetes version, without a leading v."
    )
    pod_network: AddressRange = Field(
        IPv4Network("10.244.0.0/16"),
        description="Addresses of pods; each node takes a /24. A network of your own must use these too.",
    )
    service_network: AddressRange = Field(IPv4Network("10.96.0.0/16"), description="Addresses of services.")
    network: Network = Field(
        Network(),
        description="The pods' network; unset: Argus's own, routes between the machines and no daemon. It lets nobody "
        "outside the cluster reach pods by a route, and enforces NetworkPolicies (see networkPolicies). A "
        "network of your own may do so by itself (Calico and Cilium do).",
    )
    network_policies: Literal["declared", "enforced"] | None = Field(
        None,
        description="Whether Argus enforces NetworkPolicies; unset: with Argus's own network it does, and beside a "
        "network of your own that one does or not. enforced: a program on each machine judges each new connection of "
        "its pods, by their policies and by any of yours. declared: policies are made, and with Argus's own network "
        "every pod reaches every other.",
    )
    host_firewall: Annotated[Literal["enforced", "off"], BeforeValidator(_word)] = Field(
        "enforced",
        description="Whether machines refuse strangers at the ports of their own programs. enforced: etcd's are open "
        "to control planes, the kubelet's and kube-proxy's to machines of the cluster and to pods, the API's as "
        "apiClients says. off: all to everybody, for machines that see each other under other addresses than the "
        "stack's.",
    )
    api_clients: tuple[AddressRange, ...] = Field(
        (),
        description="Networks (or single addresses) that reach the API at 6443 and endpointPort, beside the machines "
        "of the cluster and pods; unset: everybody. Where Pulumi runs must be among them.",
    )
    binaries: Annotated[str, AfterValidator(check_download_url)] = Field(
        "https://dl.k8s.io",
        description="Where machines download `v<version>/bin/linux/amd64/{kubeadm,kubelet,kubectl}` from.",
    )
    checksums: dict[str, Checksum] = Field(
        {},
        description="SHA-256 of each program of a release, by `<version>/<program>` (`1.36.1/kubelet`), as its "
        "publisher says it; unset: as the `.sha256` beside the program says, which must be there.",
    )
    require_checksums: bool = Field(
        False, description="Refuse a version whose programs are not in `checksums`, before anything is changed."
    )
    image_repository: str = Field("registry.k8s.io", description="Registry of the control plane's images.")
    registry_mirror: Annotated[str, AfterValidator(check_download_url)] | None = Field(
        None, description="URL of a registry that containerd asks first for every image; http:// for a plain one."
    )
    proxy: Proxy = Field(
        Proxy(), description="HTTP proxies for machines whose way to packages and images leads through one."
    )
    schedule_pods_on_control_planes: bool = Field(
        False, description="Let ordinary pods run on control planes too; for clusters of few machines."
    )
    secrets_key: Name = Field(
        "key1",
        description="Name of the key that encrypts Secrets in etcd; another name (a date, say) makes a new key, "
        "rewrites every Secret with it, and takes the old key out.",
    )
    kubelet: KubeletOptions = Field(KubeletOptions(), description="Settings of every kubelet.")
    go_max_procs: int | None = Field(
        None,
        ge=1,
        description="How many processors each of Kubernetes' own programs uses at a time, as Go's GOMAXPROCS (API "
        "server, etcd, controller manager, scheduler, kubelet, containerd); unset: all of its machine. 1 is for "
        "machines of few cores that analyse video too: their threads then wake each other less. An etcd that is there "
        "keeps what it was made with.",
    )
    kube_proxy: KubeProxyOptions = Field(KubeProxyOptions(), description="Settings of every kube-proxy.")
    minimum_memory_mib: int = Field(
        1700, ge=0, alias="minimumMemoryMiB", description="A machine with less memory is refused (MiB; kubeadm's own)."
    )
    minimum_disk_gib: int = Field(
        20,
        ge=0,
        alias="minimumDiskGiB",
        description="A new machine with less free space in /var/lib, beside the services' volumes, is refused (GiB).",
    )

    firewalls: Literal["refuse", "opened"] = Field(
        "refuse",
        description="A machine whose firewall (ufw, firewalld, nftables, iptables, Docker's) drops what comes in or "
        "passes through. refuse: is not touched, and what must be opened is listed; opened: it is open, says the user. "
        "Argus changes no firewall.",
    )

    @property
    def enforces_policies(self) -> bool:
        """Whether Argus's own program enforces NetworkPolicies."""
        return (self.network_policies or ("declared" if self.network.manifest else "enforced")) == "enforced"

    @property
    def checksums_of_programs(self) -> list[str]:
        """The checksum of each program of the version, `program checksum`; empty where the stack gives none."""
        given = {program: self.checksums.get(f"{self.kubernetes_version}/{program}") for program in PROGRAMS}
        return [f"{program} {checksum}" for program, checksum in given.items() if checksum]


AgeRecipient = Annotated[str, AfterValidator(check_recipient)]
CopyTarget = Annotated[str, like(r"[\w.-]+@[\w.-]+:(/[\w.-]+)+", "user@host:/absolute/path, at port 22")]


class Backup(Section):
    """Snapshots of etcd on every control plane, and encrypted copies of them and of the cluster's keys elsewhere."""

    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(
        "hourly", description="When, as systemd writes it (`hourly`, `*-*-* 03:00`; man systemd.time)."
    )
    directory: Annotated[str, like(r"(/[\w.-]+)+", "an absolute path of letters, digits, _, . and -")] = Field(
        "/var/backups/argus", description="Where each control plane keeps its own; they go with the machine."
    )
    keep: int = Field(24, ge=1, description="How many each control plane keeps, here and where copies go.")
    copy_to: CopyTarget | None = Field(
        None, description="Where copies go over SSH, `user@host:/path`; what must outlive the machines."
    )
    copy_key: SecretStr | None = Field(None, description="The private key for copyTo, as a Pulumi secret.")
    copy_host_key: Annotated[str, AfterValidator(check_host_key)] | None = Field(
        None,
        description="The public SSH host key of copyTo's host, as a machine's `hostKey`; no other host gets copies.",
    )
    recipients: tuple[AgeRecipient, ...] = Field(
        (),
        description="Public keys (`age1…`, from `age-keygen`) that copies are encrypted to; any of their private keys "
        "opens one. Keep those off the machines.",
    )
    key_recipients: tuple[AgeRecipient, ...] = Field(
        (),
        description="Public keys that the copy of the cluster's own keys is encrypted to, so that who can open a "
        "snapshot need not be who can open the keys; unset: recipients.",
    )

    @model_validator(mode="after")
    def _whole_copies(self) -> Self:
        needed = {
            "copyTo": self.copy_to,
            "copyKey": self.copy_key,
            "copyHostKey": self.copy_host_key,
            "recipients": self.recipients or None,
        }
        missing = [key for key, value in needed.items() if value is None]
        if self.copy_to is not None and missing:
            raise ValueError(
                f"copyTo needs {', '.join(missing)} too: copies are encrypted (`age-keygen` makes a key pair) and go "
                "to a host that is known by its key"
            )
        if self.copy_to is None and (self.copy_key or self.copy_host_key or self.key_recipients or self.recipients):
            raise ValueError("there is no copyTo to send copies to; set it, or remove the keys for copies")
        return self

    @property
    def openers_of_keys(self) -> tuple[str, ...]:
        """The public keys that the copy of the cluster's keys is encrypted to."""
        return self.key_recipients or self.recipients


class Signing(PrivateKey):
    """The key that signs the images which Argus builds, as `cosign generate-key-pair` makes it."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.private_key_file is None) == (self.private_key is None):
            raise ValueError("set exactly one of privateKeyFile and privateKey")
        return self


class Signer(Section):
    """Whose signature images must have."""

    images: Annotated[str, like(r"[\w.:/@*-]+", "references of images, in which * is any text")] = Field(
        description="References as the stack and its pods write them, `*` for any text: "
        "`registry.example.com/video/*`.",
    )
    keys: tuple[Annotated[str, AfterValidator(check_public_key)], ...] = Field(
        (),
        description="PEM text of the public keys (cosign.pub), of which one must have signed; two while one replaces "
        "the other.",
    )
    unsigned: bool = Field(
        False, description="Accept these images by their digest alone, as their publisher signs none."
    )

    @model_validator(mode="after")
    def _keys_or_none(self) -> Self:
        if bool(self.keys) == self.unsigned:
            raise ValueError("give the keys of which one must have signed, or `unsigned: true`")
        return self


def _check_registry_password(text: str) -> str:
    """A password as it goes into HTTP headers and files. Raises ValueError with the remedy."""
    if not text or not text.isprintable():
        raise ValueError("a password or token of a registry has at least one sign, and no line break; copy it again")
    return text


class RegistryLogin(Section):
    """A login at a registry of images."""

    username: Annotated[str, like(r"[^\x00-\x1f\x7f:]+", "a user name, without a colon")] = Field(
        description="User name, or that of a robot account or token; it has no colon."
    )
    password: Annotated[SecretStr, _secretly(_check_registry_password)] = Field(
        description="Password or token, as a Pulumi secret."
    )


class Registry(Section):
    """What a registry asks for of machines, and of the computer that runs Pulumi."""

    pull: RegistryLogin | None = Field(
        None,
        description="The login of machines, for every image that one pulls from there; each keeps it in a file for "
        "root alone. Give one that may only read. Also that of the computer that runs Pulumi, unless `push` is.",
    )
    push: RegistryLogin | None = Field(
        None,
        description="The login of the computer that runs Pulumi, to push and sign there; no machine gets it. Unset, as "
        "`pull`: what `podman login` or `docker login` has kept there.",
    )
    ca: Authorities | None = Field(
        None,
        description="PEM text of the certificate of a private authority (or of several) that vouches for it, beside "
        "those that the system knows.",
    )
    insecure: bool = Field(False, description="It speaks plain http; then there is no login and no ca.")

    @property
    def own_login(self) -> RegistryLogin | None:
        """The login of the computer that runs Pulumi, where the stack has one."""
        return self.push or self.pull


class Images(Section):
    """Where the pipeline's images come from."""

    registry: Annotated[str, AfterValidator(check_registry)] | None = Field(
        None,
        description="Registry that `pulumi up` pushes to and machines pull from, `host[:port][/path]`.",
    )
    insecure: bool = Field(False, description="The registry speaks plain http.")
    registries: dict[RegistryHost, Registry] = Field(
        {},
        description="Logins, authorities and plain http of registries and mirrors, by `host[:port]`: "
        "`pulumi config set --secret --path 'argus:images.registries[\"registry.example.com\"].pull.password'`.",
    )
    overrides: dict[str, ImageReference] = Field(
        {}, description="Image name (a folder of containers/) to a reference that is used instead of building it."
    )
    base: ImageReference = Field(
        "debian:trixie-slim",
        description="What images are built on; a digest (`debian:trixie-slim@sha256:…`) keeps it from changing.",
    )
    rebuild: str = Field(
        "",
        max_length=60,
        description="Any word, such as a date; when it changes, all images that are built here are built anew, on what "
        "`base` and Debian's packages then are, under other tags.",
    )
    platform: Literal["linux/amd64", "linux/arm64"] = Field(
        "linux/amd64",
        description="What machines are; a computer of another kind builds for it by emulation (QEMU). Nothing of Argus "
        "was ever run on arm64.",
    )
    digests: dict[ImageReference, Digest] = Field(
        {},
        description="Reference of an image (`registry.k8s.io/pause:3.10.2`) to the digest by which pods use it; one of "
        "the cluster's own (cluster.imageRepository) is compared with it when a machine pulls it.",
    )
    require_digests: bool = Field(
        False,
        description="Refuse an image that is used by its tag alone, which its registry may give another content; use "
        "also the images that are built here by their digest.",
    )
    signers: tuple[Signer, ...] = Field(
        (),
        description="Who must have signed which images; of several that fit an image, the first. Before anything is "
        "rolled out, cosign verifies every image of the stack, and one without an entry is refused. Needs "
        "requireDigests. Unset: no signature is looked at.",
    )
    signing: Signing | None = Field(
        None, description="Sign what is built here, when it is pushed. A key in `signers` must be its public half."
    )

    @property
    def named(self) -> dict[str, str]:
        """Every image that the stack names, as it is written, by its key; what images are built on if any are."""
        built_on = {"images.base": self.base} if self.registry else {}
        overrides = {f"images.overrides.{name}": reference for name, reference in self.overrides.items()}
        return built_on | overrides | {f'images.digests["{reference}"]': reference for reference in self.digests}

    @property
    def host(self) -> str | None:
        """The host of the stack's own registry."""
        return registry_of(f"{self.registry}/argus") if self.registry else None

    def at(self, host: str) -> Registry:
        """What the stack says of a registry."""
        given = self.registries.get(host, Registry())
        return given.model_copy(update={"insecure": True}) if self.insecure and host == self.host else given

    def built(self, name: str) -> str:
        """The repository of an image that is built here."""
        return f"{self.registry}/argus/{name}"

    def signer(self, reference: str) -> tuple[int, Signer] | None:
        """The first entry of `signers` that is for an image, with its place in the list; None if there is none."""
        name = reference.partition("@")[0]
        return next(((n, each) for n, each in enumerate(self.signers) if fnmatchcase(name, each.images)), None)

    def pinned(self, reference: str) -> str:
        """The reference with its digest, where `digests` has one."""
        digest = self.digests.get(reference)
        return f"{reference}@{digest}" if digest else reference


class TangServer(Section):
    """A Tang server, without which nobody opens what it helped to seal."""

    url: Annotated[str, AfterValidator(check_tang)] = Field(
        description="Where machines reach it, `http://host:port`; what is sent need not be encrypted. Not one that "
        "this cluster runs: it would wait for itself."
    )
    thumbprint: Annotated[
        str, like(r"[A-Za-z0-9_-]{43}", "43 letters, digits, - and _: all that tang-show-keys says")
    ] = Field(description="Of its signing key, as `tang-show-keys` prints it there; no other server is believed.")


class Encryption(Section):
    """How local volumes are encrypted: LUKS2, with a key that each machine draws and that never leaves it."""

    key: Name = Field(
        description="Name of the key; another name (a date, say) makes each machine draw another one, which replaces "
        "the former in all its volumes while they are in use. The key is in a file of the machine's system disk for "
        "root alone: without tang, who has that disk too reads the volumes."
    )
    tang: tuple[TangServer, ...] = Field(
        (),
        description="Tang servers that seal the key: a machine opens it with any one of them, and not where none "
        "answers. When it starts, it waits for one before its pods do. Other servers are another key.",
    )


class Storage(Section):
    """Where the stateful services keep their data."""

    class_name: str | None = Field(
        None,
        min_length=1,
        description="A storage class of your own; unset: local volumes that Argus makes on the machines.",
    )
    bounded: bool = Field(
        False,
        description="Each local volume is a file system of its own (an ext4 in a file of volumeGiB), so that a full "
        "one takes nothing from the others, nor another program from it. A volume that holds data stays as it is: set "
        "this before the cluster is made, or replace one machine after the other.",
    )
    encryption: Encryption | None = Field(
        None,
        description="Encrypt these file systems (LUKS2); needs bounded, and machines whose kernel has dm-crypt, which "
        "a container's has not. A volume that was made in clear stays so, and one that was encrypted too: set this "
        "before the cluster is made, or replace one machine after the other.",
    )

    @model_validator(mode="after")
    def _encrypts_its_own(self) -> Self:
        if self.encryption is not None and self.class_name is not None:
            raise ValueError(
                f"encryption is of volumes that Argus makes, and className names {self.class_name!r}: remove "
                "encryption, and have that class encrypt"
            )
        if self.encryption is not None and not self.bounded:
            raise ValueError(
                "encryption needs `bounded: true`, as only a volume that is a file system of its own can be encrypted"
            )
        return self


class Memory(Section):
    """A pod's memory; where vertical is apply, only its initial value."""

    request_mib: int = Field(
        ge=16, alias="requestMiB", description="Kept free for a pod on its machine (MiB); what it uses as a rule."
    )
    limit_mib: int = Field(ge=16, alias="limitMiB", description="With more than this a pod is killed (MiB).")

    @model_validator(mode="after")
    def _request_fits_limit(self) -> Self:
        if self.request_mib > self.limit_mib:
            raise ValueError(
                f"requestMiB {self.request_mib} is above limitMiB {self.limit_mib}; lower one or raise the other"
            )
        return self


def _memory(request: int, limit: int) -> Memory:
    return Memory(requestMiB=request, limitMiB=limit)


Transport = Literal["plain", "both", "prefer", "tls"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("plain", "both", "prefer", "tls")
"""The ways in which clients of Kafka, those of ZooKeeper, and Elasticsearch's nodes among themselves connect; a running
stack goes from one to the next."""
TRANSPORTS_OF_CLIENTS: Final[tuple[Transport, ...]] = ("prefer", "tls")
"""Those in which clients use TLS."""

SearchTransport = Literal["plain", "both", "tls"]
SEARCH_TRANSPORTS: Final[tuple[SearchTransport, ...]] = ("plain", "both", "tls")
"""The ways in which Elasticsearch's nodes answer; a running stack goes from one to the next."""


NODES_GROW_BY: Final = 2
"""The factor by which Elasticsearch's nodes may become more in one update: so many can those before it reach."""


class Zookeeper(Section):
    """The ZooKeeper ensemble of Kafka."""

    replicas: Literal[1, 3, 5] = Field(3, description="Members; odd, so that a majority survives one failure.")
    heap_mib: int = Field(128, ge=64, alias="heapMiB", description="Java heap of a member (MiB).")
    volume_gib: int = Field(1, ge=1, alias="volumeGiB", description="Disk of a member (GiB); it may grow.")
    transport: Transport | None = Field(
        None,
        description="How members and brokers connect; unset, as kafka.transport says, which is right but for stacks "
        "whose Kafka was encrypted before ZooKeeper could be: they go through the same steps with this key. plain: "
        "whoever reaches a member may do everything. both: members also listen with TLS. prefer: brokers, and members "
        "among themselves, use that. tls: nobody else gets in.",
    )

    @property
    def memory(self) -> Memory:
        """Memory of a member: its heap and the JVM's overhead; the page cache may use the rest up to the limit."""
        return _memory(self.heap_mib + 96, self.heap_mib * 2 + 192)


BROKER_NETWORK_THREADS: Final = 2
BROKER_IO_THREADS: Final = 4
WHOLE_BROKER: Final = 100 * (BROKER_NETWORK_THREADS + BROKER_IO_THREADS)
"""The time of all threads by which a broker serves requests, in percent of one."""


class Quota(Section):
    """What a client of Kafka may take of each broker; it is answered later where it takes more."""

    request_percentage: Annotated[float, Field(ge=1, le=WHOLE_BROKER)] | None = Field(
        None, description="Of this client; unset: kafka.quotas.requestPercentage."
    )
    write_bytes_per_second: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Of this client; unset: kafka.quotas.writeBytesPerSecond."
    )
    read_bytes_per_second: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Of this client; unset: kafka.quotas.readBytesPerSecond."
    )


class Quotas(Section):
    """What each client of Kafka may take of each broker; it is answered later where it takes more."""

    request_percentage: float = Field(
        150,
        ge=1,
        le=WHOLE_BROKER,
        description="Time of the threads that serve requests, in percent of one thread: a broker has "
        f"{BROKER_NETWORK_THREADS} for the network and {BROKER_IO_THREADS} for the log, so {WHOLE_BROKER} is no limit. "
        "By default a client that runs wild leaves the others a quarter of the network's, and most of the log's.",
    )
    write_bytes_per_second: int | None = Field(
        None, ge=1, description="What it may write (bytes a second); unset: no limit. At least maxMessageBytes."
    )
    read_bytes_per_second: int | None = Field(
        None,
        ge=1,
        description="What it may read (bytes a second); unset: no limit. At least maxMessageBytes; one that catches up "
        "reads far more than the cameras send.",
    )
    clients: dict[Name, Quota] = Field(
        {}, description="Clients with another quota, by the name in their certificate (docs/flows.md)."
    )

    def of(self, client: str) -> Quota:
        """What this client may take; a request percentage that is no limit is None."""
        given = self.clients.get(client, Quota())
        percentage = given.request_percentage or self.request_percentage
        return Quota(
            requestPercentage=None if percentage == WHOLE_BROKER else percentage,
            writeBytesPerSecond=given.write_bytes_per_second or self.write_bytes_per_second,
            readBytesPerSecond=given.read_bytes_per_second or self.read_bytes_per_second,
        )


class OutsideClient(Section):
    """A client of Kafka outside the cluster: what it may do, and nothing else."""

    read: tuple[str, ...] = Field((), description="Topics that it may read: `frames`, `results.MODEL`, `rejected`.")
    write: tuple[str, ...] = Field((), description="Topics that it may write to.")
    groups: tuple[Annotated[str, like(r"[a-zA-Z0-9._-]{1,100}", "1 to 100 letters, digits, ., _ and -")], ...] = Field(
        (), description="Consumer groups, of its own, that it may join, and whose offsets it may commit."
    )


class Outside(Section):
    """How clients outside the cluster reach Kafka's brokers: over TLS, with a certificate that the stack makes."""

    host: Annotated[str, AfterValidator(check_host_name)] | None = Field(
        None,
        description="Name or address at which they reach all brokers, each at a port of its own: of any machines, as "
        "every one passes connections on; unset: the virtual IP. Brokers tell it to clients, and their certificate "
        "has it.",
    )
    node_port: int = Field(
        ge=FIRST_NODE_PORT,
        le=LAST_NODE_PORT,
        description="Port of the first broker at every machine; that of the next is one more, and so on.",
    )
    clients: dict[Name, OutsideClient] = Field(
        min_length=1,
        description="Clients by the name in their certificate, which is in the secret output `kafkaClients`.",
    )

    def ports(self, brokers: int) -> range:
        """The port of each broker."""
        return range(self.node_port, self.node_port + brokers)


class Kafka(Section):
    """The Kafka brokers and their topics."""

    replicas: int = Field(3, ge=1, description="Brokers; from 3 on, topics have 3 replicas of which 2 must be in sync.")
    heap_mib: int = Field(1024, ge=192, alias="heapMiB", description="Java heap of a broker (MiB).")
    volume_gib: int = Field(100, ge=1, alias="volumeGiB", description="Disk of a broker (GiB); it may grow.")
    partitions: int = Field(
        40,
        ge=1,
        description="Partitions of the frames topic and of each results topic; a camera stays in one. Each costs every "
        "model requests in every batch, so no more than needed: a multiple of replicas that is at least the most tasks "
        "of a model and the most pods of a reader. A topic that has more keeps them.",
    )
    retention_hours: int = Field(6, ge=1, description="How long frames and results stay in Kafka (hours).")
    max_message_bytes: int = Field(
        2_000_000,
        ge=100_000,
        description="Largest frame, set alike at topic, broker, producer, consumer and Spark (bytes).",
    )
    transport: Transport = Field(
        "tls",
        description="How brokers and clients connect. plain: whoever reaches a broker may do everything. both: brokers "
        "also listen with TLS, for clients with a certificate of the stack. prefer: clients, and brokers among "
        "themselves, use that, and each may do what its rules allow; whoever connects in plain still may do "
        "everything. tls: nobody connects in plain, and what no rule allows is denied. ZooKeeper goes with it: its "
        "members and the brokers know each other by certificates too. A running stack goes from one to the next, with "
        "an update each; needs `openssl` on the computer that runs Pulumi.",
    )
    quotas: Quotas = Field(
        Quotas(),
        description="What each client may take of each broker, by the name in its certificate: all pods of a stage are "
        "one client, and brokers have no quota. Not with transport plain.",
    )
    outside: Outside | None = Field(
        None, description="A listener for clients outside the cluster, with transport tls; unset: there is none."
    )
    vertical: Vertical = Field("off", description=VERTICAL_WITH_RESTART)

    @property
    def memory(self) -> Memory:
        """Memory of a broker: its heap and the JVM's overhead; the page cache may use the rest up to the limit."""
        return _memory(self.heap_mib + 192, self.heap_mib * 2 + 512)

    @property
    def heap_share_of_mib(self) -> int | None:
        """The memory limit (MiB) that the heap is a share of, if the pod's memory may change; None for a fixed heap."""
        return self.memory.limit_mib if self.vertical == "apply" else None


class Elasticsearch(Section):
    """The Elasticsearch nodes that hold the results."""

    replicas: int = Field(3, ge=1, le=128, description="Nodes, but not 2; from 3 on, each index has one replica.")
    heap_mib: int = Field(1024, ge=384, alias="heapMiB", description="Java heap of a node (MiB).")
    volume_gib: int = Field(100, ge=1, alias="volumeGiB", description="Disk of a node (GiB); it may grow.")
    retention_days: int = Field(7, ge=1, description="Days after which a day's index is deleted.")
    transport: SearchTransport = Field(
        "tls",
        description="How nodes answer. plain: whoever reaches a node may do everything. both: a proxy in each node's "
        "pod also answers with TLS, the stack's pods use that, and each may do what its rules allow; whoever connects "
        "in plain still may do everything. tls: nobody connects in plain, and what no rule allows is denied. A running "
        "stack goes from one to the next, with an update each; needs `openssl` on the computer that runs Pulumi.",
    )
    node_transport: Transport | None = Field(
        None,
        description="How nodes connect to each other; unset, as transport says, which is right for a new stack. plain: "
        "whoever reaches a node may join, and read and change everything. both: a second proxy in each node's pod also "
        "takes connections with TLS, from nodes by their certificate. prefer: nodes use that. tls: nobody connects in "
        "plain. A running stack goes from one to the next, with an update each.",
    )
    vertical: Vertical = Field("off", description=VERTICAL_WITH_RESTART)

    @property
    def between_nodes(self) -> Transport:
        """How nodes connect to each other."""
        return self.node_transport or self.transport

    @property
    def memory(self) -> Memory:
        """Memory of a node: its heap and the JVM's overhead; the page cache may use the rest up to the limit."""
        return _memory(self.heap_mib + 384, self.heap_mib * 2 + 640)

    @property
    def heap_share_of_mib(self) -> int | None:
        """The memory limit (MiB) that the heap is a share of, if the pod's memory may change; None for a fixed heap."""
        return self.memory.limit_mib if self.vertical == "apply" else None


class ReplicaRange(Section):
    """The least and the most replicas; between them, the number follows the load."""

    minimum: int = Field(1, ge=1, description="Those that are always there.")
    maximum: int = Field(1, ge=1, description="The most there may be.")

    @model_validator(mode="after")
    def _minimum_is_no_more_than_maximum(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}; lower one or raise the other")
        return self

    @property
    def fixed(self) -> int | None:
        """The number of replicas if it never changes; None if it follows the load."""
        return self.minimum if self.minimum == self.maximum else None


class LagReplicas(ReplicaRange):
    """The number of pods in a consumer group: more when they fall behind, fewer when fewer can keep up."""

    target_lag_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="More pods come when those there are would take longer than this to get through what waits "
        "(seconds). The autoscaler checks every 15 s: less would follow noise.",
    )
    records_per_second: int = Field(ge=1, description="What one pod gets through (records a second).")
    target_millicores: int = Field(
        500,
        ge=10,
        description="No pod goes while the rest would use more than this on average (thousandths of a core); more come "
        "above it. Half of what a pod can use leaves room to catch up.",
    )
    cool_down_seconds: int = Field(
        300,
        ge=0,
        le=3600,
        description="Pods go, one a minute, when they have not been needed for this long (seconds). Each that goes or "
        "comes makes the group share its partitions again.",
    )


class FilebeatReplicas(LagReplicas):
    """How many Filebeat pods there are."""

    maximum: int = Field(3, ge=1, description="The most there may be; no more than kafka.partitions.")
    records_per_second: int = Field(
        1000,
        ge=1,
        description="What one pod gets through (results a second): a quarter of what `make bench-drain` measures, as a "
        "pod shares its machine.",
    )


class Filebeat(Section):
    """The shippers of results from Kafka to Elasticsearch."""

    replicas: FilebeatReplicas = Field(FilebeatReplicas(), description="Pods, between two numbers.")
    memory: Memory = Field(_memory(96, 384), description="Memory of a pod.")
    vertical: Vertical = Field("off", description=VERTICAL)


class Credentials(Section):
    """The login of one camera."""

    username: str = Field(min_length=1, description="User name at the camera.")
    password: SecretStr = Field(description="Password at the camera, as a Pulumi secret.")


class Tls(Section):
    """How the certificate of a camera is checked; unset: by the authorities that the system knows."""

    ca: Authorities | None = Field(
        None,
        description="PEM text of the certificate of a private authority (or of several), which then vouches for the "
        "camera instead of the system's; the certificate must name the URL's host.",
    )
    fingerprint: Annotated[str, AfterValidator(camera_tls.check_fingerprint)] | None = Field(
        None,
        description="SHA-256 fingerprint of the camera's own certificate, in hexadecimal digits, with or without "
        "colons: this certificate is accepted, whatever its name, issuer and dates, and no other.",
    )
    verify: bool = Field(
        True,
        description="false: any certificate is accepted, and old versions of TLS and ciphers too. Whoever is between "
        "camera and cluster can then read the login and change the pictures.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        camera_tls.check_one(self.ca, self.fingerprint, self.verify)
        return self


class Camera(Section):
    """One camera, named by URL."""

    name: Name = Field(description="Name of the camera: part of every frame's identity.")
    url: Annotated[str, AfterValidator(camera_url.check)] = Field(
        description="rtsp://, http(s):// (MJPEG), file:// (looped) or synthetic:// (rendered); no login in it: for a "
        "camera that wants its own in the path or the query, `{username}` and `{password}` stand in their places."
    )
    frames_per_second: Annotated[float, Field(gt=0, le=60)] | None = Field(
        None, description="Rate limit; unset: producers.framesPerSecond."
    )
    width: Annotated[int, Field(ge=64, le=7680)] | None = Field(
        None, description="Width in pixels; unset: producers.width."
    )
    jpeg_quality: Annotated[int, Field(ge=10, le=100)] | None = Field(None, description="Unset: producers.jpegQuality.")
    grey: bool = Field(False, description="Drop the colour.")
    transport: Literal["auto", "tcp", "udp"] = Field(
        "auto", description="How RTSP's pictures travel; auto: over TCP, or UDP if the camera refuses that."
    )
    tls: Tls | None = Field(
        None, description="For https:// and rtsps://: how its certificate is checked; unset: producers.tls."
    )
    gated: bool = Field(
        True, description="Whether models may skip its frames where nothing moved (models[].gate); false: never."
    )
    masks: tuple[tuple[Fraction, Fraction, Fraction, Fraction], ...] = Field(
        (), description="Rectangles to blur, each x1, y1, x2, y2 as fractions of the image."
    )

    @property
    def through_tls(self) -> bool:
        """Whether it shows a certificate."""
        return self.url.partition("://")[0] in camera_tls.SCHEMES

    @model_validator(mode="after")
    def _masks_have_area(self) -> Self:
        for x1, y1, x2, y2 in self.masks:
            if x1 >= x2 or y1 >= y2:
                raise ValueError(f"the mask [{x1}, {y1}, {x2}, {y2}] needs x1 < x2 and y1 < y2")
        return self


class Producers(Section):
    """The pods that read the cameras, and defaults for all cameras."""

    count: int | None = Field(
        None,
        ge=1,
        description="Producer pods; cameras are spread over them by a stable rule. Unset: as many as the cameras need "
        "by the next two.",
    )
    cameras_per_pod: int = Field(
        20, ge=1, description="Cameras that a pod reads at most; those of one that dies are dark until it is back."
    )
    frames_per_pod: float = Field(
        100.0,
        gt=0,
        description="Frames/s that a pod reads at most; about half of what one core decodes, scales and encodes.",
    )
    frames_per_second: float = Field(1.0, gt=0, le=60, description="Rate limit of a camera.")
    width: int = Field(640, ge=64, le=7680, description="Width that images are reduced to (pixels); never enlarged.")
    jpeg_quality: int = Field(
        80, ge=10, le=100, description="JPEG quality; an MJPEG camera's picture that fits is sent as it came."
    )
    tls: Tls | None = Field(
        None,
        description="How the certificates of cameras are checked; unset: by the authorities that the system knows.",
    )
    memory: Memory = Field(_memory(160, 512), description="Memory of a pod, for all its cameras.")
    vertical: Vertical = Field("off", description=VERTICAL)


class Executors(ReplicaRange):
    """The number of a model's Spark executors: its driver adds some when it falls behind, and removes them again."""

    maximum: int = Field(
        4, ge=1, description="The most there may be; with coresPerExecutor, no more tasks than kafka.partitions."
    )
    target_lag_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="More executors come when what waits would take longer than this (seconds). A few batches' time: "
        "less would follow noise.",
    )
    cool_down_seconds: float = Field(
        300.0,
        gt=0,
        le=86400,
        description="One executor less after it has not been needed for this long (seconds). A new one takes some 20 s "
        "and the frames' patience, an idle one only memory.",
    )


class Gate(Section):
    """Whether a model looks at a camera's frame only where something moved since the last one that it looked at."""

    enabled: bool | None = Field(
        None,
        description="Where nothing moved, the result carries the detections of the frame that was looked at last, and "
        "says so. Unset: on for kind objects, off for the others; kind motion has no gate.",
    )
    seconds: float = Field(
        5.0, gt=0, le=3600, description="A frame is looked at anyway this long after the last one that was (seconds)."
    )


class Overload(Section):
    """What gives way where frames come faster than the model gets through them."""

    policy: Literal["wait", "thin"] = Field(
        "wait",
        description="wait: nothing, results come later and later until Kafka's retention removes what is unread; thin: "
        "the model looks at an even share of each camera's frames, and the results of the others say so.",
    )
    seconds: float = Field(
        20.0,
        gt=0,
        le=3600,
        description="Of thin: frames are thinned where they are later than this (seconds), the more the later. More "
        "than twice the application's triggerSeconds, and than its targetLagSeconds, as executors come first.",
    )


class Model(Section):
    """One model: a Spark application of its own, or a part of another model's."""

    name: Name = Field(description="Name of the model: its results topic and index are named after it.")
    application: Name | None = Field(
        None,
        description="Another model of the list in whose Spark application this one runs: they share its driver and "
        "executors, and each frame is fetched and decoded once. What belongs to the application is set at that model. "
        "Unset: an application of its own.",
    )
    kind: Literal["objects", "motion", "python"] = Field(
        description="objects: a network on OpenVINO that detects, segments, poses or classifies; motion: frame "
        "differences; python: code of your own."
    )
    executors: Executors = Field(Executors(), description="Spark executors, between two numbers.")
    cores_per_executor: int = Field(1, ge=1, description="Tasks that an executor runs at once.")
    executor_memory_mib: int = Field(
        1400, ge=700, alias="executorMemoryMiB", description="Memory of an executor (MiB)."
    )
    driver_memory_mib: int = Field(900, ge=600, alias="driverMemoryMiB", description="Memory of the driver (MiB).")
    vertical: Vertical = Field(
        "off", description=f"Of the driver; executors are pods of its own, of executorMemoryMiB each. {VERTICAL}"
    )
    weights: WeightsName | UserPath | None = Field(
        None,
        description="Of kind objects. nanodet (unset: this): people, vehicles, cats and dogs on real pictures; scenes: "
        "trained on the rendered cameras, for tests; or a path to your own: an Ultralytics .pt, the folder of an "
        "OpenVINO export, or an .onnx file.",
    )
    size: Annotated[str, like(r"fast|sharp|[1-9]\d{1,3}x[1-9]\d{1,3}", "fast, sharp or WIDTHxHEIGHT")] | None = Field(
        None,
        description="The picture that the network looks at: fast or sharp of nanodet, or WIDTHxHEIGHT of a network "
        "whose size can change; unset: as its metadata says.",
    )
    precision: Precision = Field(
        "auto", description="Numbers that the network computes with; auto: what the CPU does fast and the weights have."
    )
    device: Annotated[str, like(r"[A-Z][A-Z0-9.,:()_-]*", "a device as OpenVINO names it, such as CPU")] = Field(
        "CPU", description="OpenVINO's device on the executors' machines. The image has the plugin of the CPU."
    )
    contract: Contract = Field(Contract(), description="What metadata lacks of a network of your own.")
    labels: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, min_length=1, description="Labels that are wanted; unset: every one that the model knows."
    )
    score_threshold: Fraction | None = Field(
        None,
        description="Detections below it are dropped; unset: as the weights recommend by label, else 0.35, and all of "
        "kind python are kept.",
    )
    score_thresholds: dict[str, Fraction] = Field({}, description="The same by label, where it differs.")
    code: UserPath | None = Field(
        None,
        description="Of kind python: a folder with model.py, and requirements.txt for what it imports; see "
        "docs/python-models.md.",
    )
    call_seconds: float = Field(
        10.0, gt=0, le=600, description="Of kind python: a call that takes longer is ended, and its frame set aside."
    )
    call_memory_mib: int = Field(
        512,
        ge=128,
        alias="callMemoryMiB",
        description="Of kind python: what the code may hold of executorMemoryMiB, a core; with more it is ended.",
    )
    gate: Gate = Field(Gate(), description="Frames in which nothing moved are not looked at.")
    overload: Overload = Field(Overload(), description="What gives way where frames come too fast for the model.")
    trigger_seconds: float = Field(2.0, gt=0, le=60, description="Time between micro-batches (seconds).")
    batch_size: int = Field(16, ge=1, le=256, description="Frames that a Python worker holds at once.")

    @model_validator(mode="after")
    def _keys_fit_kind(self) -> Self:
        for key, kind in (("weights", "objects"), ("size", "objects"), ("code", "python")):
            if getattr(self, key) is not None and self.kind != kind:
                raise ValueError(f"a model of kind {self.kind} has no {key}: remove the key or use kind: {kind}")
        if self.kind == "python" and self.code is None:
            raise ValueError("a model of kind python needs code, the folder of its module")
        if self.kind == "motion" and self.gate.enabled:
            raise ValueError("a model of kind motion has no gate, as it looks for motion: remove gate.enabled")
        return self

    @property
    def gate_seconds(self) -> float | None:
        """The longest time between two frames of a camera that are looked at; None: every frame is."""
        enabled = self.kind == "objects" if self.gate.enabled is None else self.gate.enabled
        return self.gate.seconds if enabled else None

    @property
    def overload_seconds(self) -> float | None:
        """The delay (seconds) beyond which frames are thinned; None: they never are."""
        return self.overload.seconds if self.overload.policy == "thin" else None

    @property
    def misplaced(self) -> list[str]:
        """The keys that are set here and belong to the application, if that is another model's."""
        keys = [(name, type(self).model_fields[name].alias or name) for name in APPLICATION_FIELDS]
        return [key for name, key in keys if self.application is not None and name in self.model_fields_set]

    @property
    def memory(self) -> Memory:
        """Memory of an executor, the model's larger pod."""
        return _memory(self.executor_memory_mib, self.executor_memory_mib)

    @property
    def network(self) -> Path:
        """For kind objects: the folder or file of its weights on this computer."""
        return self.weights if isinstance(self.weights, Path) else ARGUS_WEIGHTS / (self.weights or "nanodet")


APPLICATION_FIELDS: Final = (
    "executors",
    "cores_per_executor",
    "executor_memory_mib",
    "driver_memory_mib",
    "vertical",
    "trigger_seconds",
    "batch_size",
)
"""The fields of Model that concern the whole Spark application."""


class ConsumerReplicas(LagReplicas):
    """How many consumer pods there are."""

    minimum: int = Field(2, ge=1, description="Those that are always there, each on a machine of its own.")
    maximum: int = Field(
        2,
        ge=1,
        description="The most there may be; no more than kafka.partitions. Equal to minimum, a fixed number, because "
        "what a pod stored is shown only while it is there: where the number changes, the images on the volume of one "
        "that went are back when it is.",
    )
    records_per_second: int = Field(
        500,
        ge=1,
        description="What one pod gets through (frames and results a second): less than half of what `make "
        "bench-drain` measures, as a pod shares its machine and its disk.",
    )


class Consumer(Section):
    """The pods that save frames and results to disk."""

    replicas: ConsumerReplicas = Field(
        ConsumerReplicas(),
        description="Pods, between two numbers; each keeps the partitions that it reads on its own disk.",
    )
    volume_gib: int = Field(
        10, ge=1, alias="volumeGiB", description="Disk of a pod (GiB), which may grow; the oldest hours go first."
    )
    retention_hours: int = Field(48, ge=1, description="Hours that frames and results are kept on disk.")
    memory: Memory = Field(_memory(96, 384), description="Memory of a pod.")
    vertical: Vertical = Field("off", description=VERTICAL)


def _check_variable(name: str) -> str:
    """Check the name of a variable of lego's DNS provider; return it. Raises ValueError with the remedy."""
    if not re.fullmatch(r"[A-Z0-9]+_[A-Z0-9_]{1,99}", name) or name.startswith(("ARGUS_", "LEGO_", "LD_")):
        raise ValueError(f"{name!r} is no variable of a DNS provider; lego's page of the provider names them")
    return name


_FORMER_PROVIDERS: Final = {"rfc2136": "dnsupdate"}
"""Codes that earlier versions of lego had, which its users still know."""


@cache
def _dns_providers() -> frozenset[str]:
    return frozenset(DNS_PROVIDERS.read_text().split())


def _check_dns_provider(name: str) -> str:
    """Check the code of a DNS provider that lego here has; return it. Raises ValueError with the remedy."""
    if name in _dns_providers():
        return name
    former = _FORMER_PROVIDERS.get(name.lower())
    for meant in [former] if former else difflib.get_close_matches(name.lower(), _dns_providers(), n=1, cutoff=0.8):
        raise ValueError(f"is no DNS provider; did you mean {meant}? containers/acme/providers.txt has all")
    raise ValueError(
        "is none of the DNS providers in containers/acme/providers.txt, by lego's codes; for another one make "
        "_acme-challenge of the names a CNAME into a zone of one of these, or have httpreq ask a service of yours"
    )


ProviderVariable = Annotated[str, AfterValidator(_check_variable)]


def _check_hmac(text: str) -> str:
    """A key in base64url. Raises ValueError with the remedy."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", text):
        raise ValueError("must be in base64url (letters, digits, - and _), as the server's operator gave it")
    return text


class ExternalAccount(Section):
    """The account that an ACME server wants to know before it takes Argus's (external account binding)."""

    key_id: Annotated[str, like(r"[\x21-\x7e]{1,255}", "1 to 255 ASCII characters without spaces")] = Field(
        description="The key identifier that the server's operator gave."
    )
    hmac: Annotated[SecretStr, _secretly(_check_hmac)] = Field(
        description="The MAC key with it, in base64url, as a Pulumi secret."
    )


MailAddress = Annotated[str, like(r"(?=.{3,255}$)[^@\s]+@[^@\s]+", "an address such as cameras@example.com")]


class Acme(Section):
    """An ACME server (Let's Encrypt, a step-ca of yours, …) that gives the page a certificate, and how it is shown that
    the names are yours: by TXT records in DNS (DNS-01), which [lego](https://go-acme.github.io/lego/dns/) makes."""

    server: Annotated[str, AfterValidator(check_acme_server)] = Field(
        description="The URL of the server's directory, such as https://acme-v02.api.letsencrypt.org/directory; by "
        "naming it you accept its terms of service."
    )
    email: MailAddress | None = Field(None, description="Where the server may write to, if anywhere.")
    names: tuple[Annotated[str, AfterValidator(check_host_name)], ...] = Field(
        (), description="Further DNS names for the certificate, beside the one in ui.url."
    )
    dns_provider: Annotated[str, AfterValidator(_check_dns_provider)] = Field(
        description="Where the names' zone is, by lego's code: dnsupdate is any DNS server that takes signed updates "
        "(RFC 2136: BIND, Knot, PowerDNS, …), httpreq a small service of yours; the others are in "
        "containers/acme/providers.txt."
    )
    options: dict[ProviderVariable, str] = Field(
        {},
        description="The provider's variables by name, as lego's page of it has them, that are no secret, such as "
        "DNSUPDATE_NAMESERVER; and HTTPS_PROXY, where a proxy is the only way out.",
    )
    credentials: dict[ProviderVariable, SecretStr] = Field(
        {},
        description="Those that are, such as DNSUPDATE_TSIG_SECRET, each as a Pulumi secret. They are in a Secret that "
        "no pod of the pipeline can read, and left out of logs and reasons from four characters on.",
    )
    ports: tuple[Port, ...] = Field(
        (), description="TCP ports of the provider's API, where it is not at 443; the port of server is open anyway."
    )
    wait_seconds: int | None = Field(
        None,
        ge=1,
        le=600,
        description="Wait for this long after a record is made (seconds). Unset: until all name servers of the zone "
        "and the cluster's resolver have it, for which pods must reach them.",
    )
    ca: Authorities | None = Field(
        None,
        description="PEM text of the certificate of a private authority (or of several), which then vouches for the "
        "server instead of the known ones.",
    )
    external_account: ExternalAccount | None = Field(
        None, description="Only where the server wants to know who you are."
    )

    @property
    def port(self) -> int:
        """The TCP port of the server."""
        return urlsplit(self.server).port or HTTPS_PORT

    @property
    def outside_ports(self) -> tuple[int, ...]:
        """The TCP ports of the server and of the provider's API, each once, sorted."""
        return tuple(sorted({self.port, HTTPS_PORT, *self.ports}))

    @property
    def lego_variables(self) -> dict[str, str]:
        """The variables for lego that are no secret, but for the path of `ca`."""
        found = dict(self.options)
        if self.email is not None:
            found["LEGO_EMAIL"] = self.email
        if self.wait_seconds is not None:
            found["LEGO_DNS_PROPAGATION_WAIT"] = f"{self.wait_seconds}s"
        if self.external_account is not None:
            found |= {"LEGO_EAB": "true", "LEGO_EAB_KID": self.external_account.key_id}
        return found

    @property
    def lego_secrets(self) -> dict[str, str]:
        """The variables for lego that are secret."""
        found = {name: value.get_secret_value() for name, value in self.credentials.items()}
        if self.external_account is not None:
            found["LEGO_EAB_HMAC"] = self.external_account.hmac.get_secret_value()
        return found

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if twice := sorted(self.options.keys() & self.credentials.keys()):
            raise ValueError(f"{', '.join(twice)} is in options and in credentials; keep one")
        return self


class UiReplicas(ReplicaRange):
    """The number of pods that serve the page, by their CPU use."""

    maximum: int = Field(3, ge=1, description="The most there may be; equal to minimum: a fixed number.")
    target_millicores: int = Field(
        300,
        ge=10,
        description="More pods come when they use more than this on average (thousandths of a core). A pod is one "
        "process, which can use about one core; a third leaves it quick.",
    )
    cool_down_seconds: int = Field(
        300, ge=0, le=3600, description="Pods go when they have not been needed for this long (seconds)."
    )


class Ui(Section):
    """The web page."""

    replicas: UiReplicas = Field(UiReplicas(), description="Pods, between two numbers.")
    memory: Memory = Field(_memory(160, 512), description="Memory of a pod.")
    vertical: Vertical = Field("off", description=VERTICAL)
    node_port: int = Field(
        30080,
        ge=FIRST_NODE_PORT,
        le=LAST_NODE_PORT,
        description="Port of the page at the virtual IP; with a network of your own at every machine too.",
    )
    tls_secret: Annotated[str, like(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of a Secret")] | None = Field(
        None,
        description="A Secret of the namespace argus with tls.crt and tls.key, in the place of Argus's own "
        "certificate; a renewed one needs no restart. It must be there before the page starts.",
    )
    tls: Annotated[Literal["own", "off"], BeforeValidator(_word)] = Field(
        "own",
        description="own: unless tlsSecret names a certificate, the page has one of a private authority of the stack, "
        "for the virtual IP, the name in url and tlsNames. The first `pulumi up` of a quarter makes it anew, without "
        "a restart; it lasts for 397 days. Browsers are given the output `uiCa`. off: the page is served in plain, "
        "for a proxy of yours that speaks TLS; whoever reads the network reads pictures and logins.",
    )
    tls_names: tuple[Annotated[str, AfterValidator(check_host_name)], ...] = Field(
        (), description="Further DNS names and IPv4 addresses that Argus's own certificate is good for."
    )
    tls_redraw: str = Field(
        "",
        max_length=60,
        description="Any word, such as a date; when it changes, the authority of Argus's own certificate is made "
        "anew, and browsers need its new certificate.",
    )
    acme: Acme | None = Field(
        None,
        description="A certificate of an ACME server for the name in url, which a pod of its own has renewed. Argus's "
        "own stays: for whoever opens the page at its address, and for all until there is the other.",
    )
    url: Annotated[str, AfterValidator(check_page_url)] | None = Field(
        None,
        description="Where browsers open the page, `https://name[:port]`, if not at the virtual IP and nodePort: a "
        "name that the certificate has, or a proxy's that passes the header Host on.",
    )

    @property
    def own_certificate(self) -> bool:
        """Whether Argus makes the page's certificate."""
        return self.tls == "own" and self.tls_secret is None

    @property
    def scheme(self) -> str:
        """How a browser reaches the page."""
        return "https" if self.tls_secret or self.own_certificate else "http"

    def address(self, endpoint: Address) -> str:
        """The URL at which browsers open the page, without a slash at its end; `endpoint` is the virtual IP."""
        return self.url or f"{self.scheme}://{endpoint}:{self.node_port}"

    @property
    def acme_names(self) -> tuple[str, ...]:
        """The DNS names that the ACME server certifies, each once."""
        further = self.acme.names if self.acme else ()
        return tuple(dict.fromkeys([*([self.host] if self.host else []), *further]))

    @property
    def host(self) -> str | None:
        """The host in url."""
        return urlsplit(self.url or "").hostname

    def names(self, endpoint: Address) -> tuple[str, ...]:
        """The names and addresses at which browsers open the page, each once; `endpoint` is the virtual IP."""
        return tuple(dict.fromkeys([str(endpoint), *([self.host] if self.host else []), *self.tls_names]))


def _check_client_secret(text: str) -> str:
    """A client's secret as providers draw it. Raises ValueError with the remedy."""
    if not re.fullmatch(r"[\x21-\x7e]{1,1024}", text):
        raise ValueError("a client's secret has 1 to 1024 printable ASCII characters without spaces; copy it again")
    return text


GroupName = Annotated[str, NAME]
UserName = Annotated[
    str, like(USER_PATTERN, "1 to 100 letters, digits and . _ @ + -, and begin and end with a letter or digit")
]
CameraPattern = Annotated[str, like(CAMERAS_PATTERN, "the name of a camera, in which * and ? may stand")]

ALL_CAMERAS: Final = "all"
"""The group that every stack has."""

_ROLE = (
    "viewer: live and stored pictures, and the search; operator: also why a camera or a pod is in trouble; admin: also "
    "who may see what (/api/access)."
)
_GROUPS = "The groups whose cameras may be seen; `all` is every camera."


class User(Section):
    """A user of the page."""

    password_hash: Annotated[SecretStr, _secretly(check_password_hash)] = Field(
        description="What `python -m components.config.password` prints for the password, as a Pulumi secret."
    )
    role: Role = Field("viewer", description=_ROLE)
    groups: tuple[GroupName, ...] = Field(min_length=1, description=_GROUPS)
    version: int = Field(1, ge=1, description="Another number ends the user's sessions; another password does too.")


class ApiToken(Section):
    """A program that asks the page's API, with `Authorization: Bearer <token>`."""

    token_hash: Annotated[SecretStr, _secretly(check_token_hash)] = Field(
        description="What `python -m components.config.password --token` prints beside the token, as a Pulumi secret."
    )
    role: Role = Field("viewer", description=_ROLE)
    groups: tuple[GroupName, ...] = Field(min_length=1, description=_GROUPS)


class PageSessions(Section):
    """When a login to the page ends."""

    idle_minutes: float = Field(
        60.0, gt=0, description="After this long without a request (minutes); an open wall asks each second."
    )
    absolute_hours: float = Field(12.0, gt=0, description="After this long in any case (hours).")

    @model_validator(mode="after")
    def _idle_is_shorter(self) -> Self:
        if self.idle_minutes > 60 * self.absolute_hours:
            raise ValueError(
                f"idleMinutes {self.idle_minutes:g} is longer than absoluteHours {self.absolute_hours:g}; lower one or "
                "raise the other"
            )
        return self


class MappedRole(Section):
    """What the members of a group of the provider may do."""

    value: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="A value of the claim: a group or role as the provider writes it, case included."
    )
    role: Role = Field("viewer", description=_ROLE)
    groups: tuple[GroupName, ...] = Field(min_length=1, description=_GROUPS)


Scope = Annotated[str, like(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}", "one scope, without spaces and quotes")]


class OpenIdConnect(Section):
    """A provider of OpenID Connect (Keycloak, Dex, Entra ID, …) by which people log in beside the stack's users.

    At the provider, Argus is a confidential client of the type web with the authorization code flow, and its only
    redirect URI is the page's address with `/api/login/openid/callback`.
    """

    issuer: Annotated[str, AfterValidator(check_issuer)] = Field(
        description="The provider's issuer URL, https, to the letter as it names itself in its discovery document "
        "(`ISSUER/.well-known/openid-configuration`)."
    )
    client_id: Annotated[str, like(r"[\x20-\x7e]{1,255}", "1 to 255 ASCII characters")] = Field(
        description="Argus's client ID there."
    )
    client_secret: Annotated[SecretStr, _secretly(_check_client_secret)] = Field(
        description="The client's secret, as a Pulumi secret."
    )
    scopes: tuple[Scope, ...] = Field(
        ("openid", "profile", "email"),
        description="What Argus asks for; `openid` and whatever makes the provider send the claims below (often "
        "`groups`).",
    )
    claim: str = Field(
        "groups",
        min_length=1,
        max_length=200,
        description="The claim with a user's groups or roles, a text or a list of texts: of the ID token, else of the "
        "userinfo endpoint. A claim inside another one is written with dots, as `realm_access.roles`.",
    )
    name_claim: str = Field(
        "preferred_username",
        min_length=1,
        max_length=200,
        description="The claim with the name that the page and its audit log show; without it, the subject.",
    )
    label: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(
        "OpenID Connect", description="What the login page calls the provider: `Log in with …`."
    )
    roles: tuple[MappedRole, ...] = Field(
        min_length=1,
        max_length=100,
        description="Who may do what. The first entry counts whose value the user has, so begin with the one that may "
        "most; who has none is refused.",
    )
    ca: Authorities | None = Field(
        None,
        description="PEM text of the certificate of a private authority (or of several), which then vouches for the "
        "provider instead of the known ones.",
    )
    version: int = Field(1, ge=1, description="Another number ends the sessions of all who logged in by the provider.")

    @property
    def port(self) -> int:
        """The TCP port of the issuer."""
        return urlsplit(self.issuer).port or HTTPS_PORT

    @model_validator(mode="after")
    def _asks_for_openid(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes: openid is missing, without which a provider says nothing of the user; add it")
        return self


class Access(Section):
    """Who may look at what. Without users there is one, `admin`, whose password is the secret output `uiPassword`."""

    groups: dict[GroupName, tuple[CameraPattern, ...]] = Field(
        {},
        description="Groups of cameras by name: camera names, in which `*` stands for any characters and `?` for one.",
    )
    users: dict[UserName, User] = Field({}, description="Users by name.")
    tokens: dict[UserName, ApiToken] = Field({}, description="Programs by name.")
    open_id_connect: OpenIdConnect | None = Field(
        None,
        description="Also let people in by a provider of OpenID Connect; needs a page over TLS. The users above, or "
        "`admin`, are the way in when the provider is down.",
    )
    sessions: PageSessions = Field(PageSessions(), description="When a login ends.")
    redraw: str = Field(
        "",
        max_length=60,
        description="Any word, such as a date; when it changes, the key of sessions and the password of `admin` are "
        "drawn anew, which ends every session.",
    )

    @property
    def patterns(self) -> dict[str, tuple[str, ...]]:
        """The patterns of each group's cameras."""
        return {ALL_CAMERAS: ("*",), **self.groups}


class Audit(Section):
    """The API servers' audit log: who changed what in the cluster. It is on each control plane in any case."""

    ship: bool = Field(
        False,
        description="Send it to Elasticsearch too (indices `audit-<day>`), by a Filebeat as root on each control "
        "plane, in the namespace argus-audit. Unless elasticsearch.transport is tls, whoever reaches Elasticsearch can "
        "read and change what is there.",
    )
    retention_days: int = Field(90, ge=1, description="Days after which a day's index is deleted.")
    memory: Memory = Field(_memory(64, 256), description="Memory of a pod that sends it.")


class PodSecrets(Section):
    """The secrets by which pods know each other and who scrapes them: tokens, servers' keys, one an application."""

    redraw: str = Field(
        "",
        max_length=60,
        description="Any word, such as a date; when it changes, all of them are made anew. Pods read another token, "
        "key and certificate without a restart; give Prometheus the new token for metrics within an hour. Of each "
        "application a new driver starts beside the old one, as with "
        "new weights. Unless kafka.transport is plain, so are the certificates for Kafka and ZooKeeper, and both "
        "and everything that connects to Kafka restart in turn; unless elasticsearch.transport and nodeTransport are "
        "plain, the same of Elasticsearch.",
    )


class VerticalLimits(Section):
    """Settings of all stages whose memory and CPU follow their use."""

    settle_minutes: int = Field(
        60,
        ge=1,
        le=1440,
        description="A pod's use is watched for this long before it is given less, or a little more (minutes). One "
        "that has far too little is given more within some minutes.",
    )
    maximum_memory_mib: int = Field(
        4096,
        ge=64,
        alias="maximumMemoryMiB",
        description="No pod is kept more free than this (MiB); choose less than a machine has.",
    )
    maximum_millicores: int = Field(
        2000, ge=10, description="No pod is kept more CPU free than this (thousandths of a core)."
    )


class Settings(Section):
    """The whole stack."""

    ssh: Ssh
    machines: Machines
    cluster: Cluster
    backup: Backup = Backup()
    images: Images = Images()
    storage: Storage = Storage()
    zookeeper: Zookeeper = Zookeeper()
    kafka: Kafka = Kafka()
    elasticsearch: Elasticsearch = Elasticsearch()
    filebeat: Filebeat = Filebeat()
    producers: Producers = Producers()
    cameras: tuple[Camera, ...] = Field(min_length=1, description="The cameras.")
    camera_credentials: dict[Name, Credentials] = Field({}, description="Logins by camera name.")
    models: tuple[Model, ...] = Field(min_length=1, description="The models.")
    consumer: Consumer = Consumer()
    ui: Ui = Ui()
    access: Access = Access()
    audit: Audit = Audit()
    pod_secrets: PodSecrets = PodSecrets()
    vertical: VerticalLimits = VerticalLimits()

    @property
    def all_machines(self) -> tuple[Machine, ...]:
        """Control planes, then workers, without machines on standby."""
        return self.machines.control_planes + self.machines.active_workers

    @property
    def zookeeper_transport(self) -> Transport:
        """How ZooKeeper's members and the brokers connect to it."""
        return self.zookeeper.transport or self.kafka.transport

    @property
    def kafka_outside_host(self) -> str | None:
        """Where clients outside the cluster reach Kafka's brokers; None where there are none."""
        outside = self.kafka.outside
        return None if outside is None else outside.host or str(self.cluster.endpoint)

    @property
    def schedulable_machines(self) -> tuple[Machine, ...]:
        """The machines that the pipeline's pods may run on."""
        return self.all_machines if self.cluster.schedule_pods_on_control_planes else self.machines.active_workers

    @property
    def applications(self) -> dict[str, tuple[Model, ...]]:
        """The models of each Spark application, by the name of the model that it is named after, which is the first."""
        return {
            first.name: (first, *(each for each in self.models if each.application == first.name))
            for first in self.models
            if first.application is None
        }

    @property
    def scales_by_lag(self) -> bool:
        """Whether the number of pods of any stage follows its lag in Kafka."""
        numbers = [getattr(section, "replicas", None) for section in self._sections]
        return any(isinstance(each, LagReplicas) and each.fixed is None for each in numbers)

    @property
    def scales_vertically(self) -> bool:
        """Whether any stage uses vertical scaling."""
        return any(getattr(section, "vertical", "off") != "off" for section in self._sections)

    @property
    def _sections(self) -> Iterator[object]:
        """Every section, or each of its items where it is a list."""
        for _, section in self:
            yield from section if isinstance(section, tuple) else (section,)

    @property
    def producer_count(self) -> int:
        """The number of producers: as given, or computed from the cameras' rates, so it needs no autoscaler."""
        given, cameras = self.producers, self.filled_cameras
        if given.count is not None:
            return given.count
        frames = sum(camera.frames_per_second or 0 for camera in cameras)
        needed = max(len(cameras) / given.cameras_per_pod, frames / given.frames_per_pod)
        return min(len(cameras), math.ceil(needed))

    @property
    def filled_cameras(self) -> tuple[Camera, ...]:
        """The cameras, with unset rates, widths, qualities and TLS filled in from the producers' section."""
        filled = ("frames_per_second", "width", "jpeg_quality")
        return tuple(
            camera.model_copy(
                update={
                    key: getattr(self.producers, key)
                    for key in (*filled, "tls")
                    if getattr(camera, key) is None and (key != "tls" or camera.through_tls)
                }
            )
            for camera in self.cameras
        )
