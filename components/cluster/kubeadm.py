"""The kubeadm configuration (v1beta4): a pure function of the stack's section and of Argus's own choices.

Argus's choices have two aims. A dead machine must be noticed soon: its node is NotReady after 20 s and its pods are
evicted 15 s later, where Kubernetes by default takes over five minutes. And an idle cluster must use little CPU,
because the same machines analyse video. docs/adr/0003-cluster.md explains each number; docs/adr/0007-hardening.md
explains how the API, its secrets and the kubelets are protected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from components.config import Cluster, Machine

_API = "kubeadm.k8s.io/v1beta4"

API_PORT = 6443
"""Port of each control plane's own API server; the cluster's endpoint has another port."""

EVICTION_GIB = 2
"""With less free space on its disk, a kubelet evicts pods."""

KUBELET_PORT = 10250
"""Port at which API servers and metrics-server ask a kubelet."""

KUBE_PROXY_PORT = 10256
"""Port at which kube-proxy says whether it is well; none of Argus's programs asks."""

ETCD_PORTS = (2379, 2380)
"""For clients, and between members."""

NODE_LEASE_SECONDS = 20
"""A kubelet renews its lease every quarter of this (5 s), so a node is NotReady after four missed renewals."""

NODE_MONITOR_GRACE_SECONDS = 20
POD_TOLERATION_SECONDS = 15

LEADER_ELECTION = {
    "leader-elect-lease-duration": "15s",
    "leader-elect-renew-deadline": "12s",
    "leader-elect-retry-period": "3s",
}
"""Fewer requests than by default (every 3 s, not 2 s), and a busy machine gives up after 12 s, not 10 s."""

ETCD_HEARTBEAT_MS = 250
ETCD_ELECTION_MS = 2500
"""Fewer heartbeats (the default is 100 ms). A dead leader is replaced within 5 s; a slow disk causes no election."""

ETCD_PROGRESS = "60s"
"""How often etcd tells an idle watch how far it is. kubeadm says 5 s, which at rest is most of what etcd sends: an API
server has some 60 watches. One that must know at once asks for it."""

ENCRYPTION_CONFIG = "/etc/kubernetes/encryption.yaml"
AUDIT_POLICY = "/etc/kubernetes/audit-policy.yaml"
AUTHENTICATION = "/etc/kubernetes/authentication.yaml"
AUDIT_LOGS = "/var/log/kubernetes"
"""node.sh writes the first three for the API server, which logs to the fourth; node_delete.sh removes all."""

CA = "/etc/kubernetes/pki/ca.crt"

ANONYMOUS_PATHS = (
    # HAProxy, the kubelet and Argus's own steps ask an API server how it is.
    "/livez",
    "/readyz",
    "/healthz",
    # A machine that joins reads the cluster's CA here, and checks it against the hash in its invitation.
    "/api/v1/namespaces/kube-public/configmaps/cluster-info",
)
"""The only paths of the API that answer a request without an identity."""

PATCHES = "/etc/kubernetes/patches"
"""node.sh and settings.sh write patches of a control plane's static pods here; upgrade_node.sh uses them again."""


def init_config(cluster: Cluster, machine: Machine) -> str:
    """The configuration of `kubeadm init`, for the machine where the cluster starts, as YAML documents."""
    return _documents(
        {
            "apiVersion": _API,
            "kind": "InitConfiguration",
            "localAPIEndpoint": _local_api(machine),
            "nodeRegistration": _registration(cluster, machine),
            # kubeadm always makes a token, but this one is not used: each machine is invited with its own.
            "bootstrapTokens": [{"ttl": "1m0s"}],
            "patches": {"directory": PATCHES},
        },
        _cluster(cluster),
        _kubelet(cluster),
        _kube_proxy(cluster),
    )


def join_config(cluster: Cluster, machine: Machine) -> str:
    """The configuration of `kubeadm join`, as YAML; node.sh replaces the @…@ placeholders from the invitation."""
    config: dict[str, Any] = {
        "apiVersion": _API,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": f"{cluster.endpoint}:{cluster.endpoint_port}",
                "token": "@TOKEN@",
                "caCertHashes": ["@CA_HASH@"],
            }
        },
        "nodeRegistration": _registration(cluster, machine),
    }
    if machine.control_plane:
        config["controlPlane"] = {"localAPIEndpoint": _local_api(machine), "certificateKey": "@CERTIFICATE_KEY@"}
        config["patches"] = {"directory": PATCHES}
    return _documents(config)


def kubelet_config(cluster: Cluster) -> str:
    """The kubelets' configuration, as YAML; kubeadm fills in the rest."""
    return _documents(_kubelet(cluster))


def authentication_config() -> str:
    """The API servers' authentication configuration: which requests need no identity. As YAML."""
    return _documents(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "anonymous": {"enabled": True, "conditions": [{"path": path} for path in ANONYMOUS_PATHS]},
        }
    )


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": _API,
        "kind": "ClusterConfiguration",
        "clusterName": cluster.name,
        "kubernetesVersion": f"v{cluster.kubernetes_version}",
        "imageRepository": cluster.image_repository,
        "controlPlaneEndpoint": f"{cluster.endpoint}:{cluster.endpoint_port}",
        "networking": {"podSubnet": str(cluster.pod_network), "serviceSubnet": str(cluster.service_network)},
        "apiServer": {
            **_environment(cluster),
            "certSANs": [str(cluster.endpoint), "localhost", "127.0.0.1"],
            "extraArgs": _flags(
                {
                    "default-not-ready-toleration-seconds": POD_TOLERATION_SECONDS,
                    "default-unreachable-toleration-seconds": POD_TOLERATION_SECONDS,
                    "profiling": "false",
                    "encryption-provider-config": ENCRYPTION_CONFIG,
                    "authentication-config": AUTHENTICATION,
                    # NodeRestriction is kubeadm's. Whoever sets a service's external IPs takes others' traffic.
                    "enable-admission-plugins": "NodeRestriction,DenyServiceExternalIPs",
                    "kubelet-certificate-authority": CA,
                    # Every client supports it: Go, OpenSSL 3 (HAProxy, Python, curl) and Java 21.
                    "tls-min-version": "VersionTLS13",
                    "audit-policy-file": AUDIT_POLICY,
                    "audit-log-path": f"{AUDIT_LOGS}/audit.log",
                    "audit-log-maxage": 30,
                    "audit-log-maxbackup": 10,
                    "audit-log-maxsize": 100,
                }
            ),
            "extraVolumes": [
                _host_path("encryption", ENCRYPTION_CONFIG, "File", read_only=True),
                _host_path("authentication", AUTHENTICATION, "File", read_only=True),
                _host_path("audit-policy", AUDIT_POLICY, "File", read_only=True),
                _host_path("audit-logs", AUDIT_LOGS, "DirectoryOrCreate", read_only=False),
            ],
        },
        "controllerManager": {
            **_environment(cluster),
            "extraArgs": _flags(
                {
                    **LEADER_ELECTION,
                    "node-monitor-grace-period": f"{NODE_MONITOR_GRACE_SECONDS}s",
                    "profiling": "false",
                }
            ),
        },
        "scheduler": {**_environment(cluster), "extraArgs": _flags({**LEADER_ELECTION, "profiling": "false"})},
        "etcd": {
            "local": {
                **_environment(cluster),
                "extraArgs": _flags(
                    {
                        "heartbeat-interval": ETCD_HEARTBEAT_MS,
                        "election-timeout": ETCD_ELECTION_MS,
                        "watch-progress-notify-interval": ETCD_PROGRESS,
                    }
                ),
            }
        },
    }


def _environment(cluster: Cluster) -> dict[str, Any]:
    processors = cluster.go_max_procs
    return {} if processors is None else {"extraEnvs": _flags({"GOMAXPROCS": processors})}


def _kubelet(cluster: Cluster) -> dict[str, Any]:
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": cluster.kubelet.cgroup_driver,
        "failCgroupV1": cluster.kubelet.fail_cgroup_v1,
        "nodeLeaseDurationSeconds": NODE_LEASE_SECONDS,
        # The lease shows that a node is alive; its status is written when it changes, and otherwise only this often.
        "nodeStatusUpdateFrequency": "10s",
        "nodeStatusReportFrequency": "5m",
        # Watches deliver changes at once; these are the intervals of the periodic resynchronisation.
        "fileCheckFrequency": "60s",
        "syncFrequency": "2m",
        "volumeStatsAggPeriod": "5m",
        # These chains serve kube-proxy's iptables mode, but here it runs in nftables mode.
        "makeIPTablesUtilChains": False,
        # In bytes, not percent of the disk: a large disk that is 90% full, also by other programs, is no emergency.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": f"{EVICTION_GIB}Gi",
            "imagefs.available": f"{EVICTION_GIB}Gi",
            "nodefs.inodesFree": "5%",
            "imagefs.inodesFree": "5%",
        },
        "imageGCHighThresholdPercent": 95,
        "imageGCLowThresholdPercent": 90,
        # Pull images in parallel, so that a slow one delays no other.
        "serializeImagePulls": False,
        "maxParallelImagePulls": 3,
        # kubeadm does not set these. Every client of a kubelet is a Go program that supports TLS 1.3, and a pod without
        # a seccomp profile must get the container runtime's default profile, not none.
        "tlsMinVersion": "VersionTLS13",
        "seccompDefault": True,
        # The kubelet asks the cluster's CA for its serving certificate; kubelet_certificates.py says who grants it.
        "serverTLSBootstrap": True,
        # A pod that forks without end must not take the machine's process IDs.
        "podPidsLimit": 4096,
    }
    if cluster.kubelet.feature_gates:
        config["featureGates"] = dict(cluster.kubelet.feature_gates)
    return config


def _kube_proxy(cluster: Cluster) -> dict[str, Any]:
    config: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": str(cluster.pod_network),
        # NodePorts answer on every address of a machine, including the virtual IP.
        "nodePortAddresses": ["0.0.0.0/0"],
    }
    if cluster.kube_proxy.conntrack_max_per_core is not None:
        config["conntrack"] = {"maxPerCore": cluster.kube_proxy.conntrack_max_per_core}
    return config


def _registration(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    registration: dict[str, Any] = {
        "name": machine.name,
        "criSocket": "unix:///run/containerd/containerd.sock",
        "imagePullSerial": False,
        "kubeletExtraArgs": _flags({"node-ip": machine.host, "housekeeping-interval": "15s"}),
    }
    if not cluster.kubelet.fail_cgroup_v1:
        # kubeadm has a check of its own against cgroup v1; no other check has this name.
        registration["ignorePreflightErrors"] = ["SystemVerification"]
    if machine.control_plane and cluster.schedule_pods_on_control_planes:
        registration["taints"] = []
    return registration


def _local_api(machine: Machine) -> dict[str, Any]:
    return {"advertiseAddress": machine.host, "bindPort": API_PORT}


def _host_path(name: str, path: str, kind: str, *, read_only: bool) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": kind}


def _flags(flags: Mapping[str, str | int]) -> list[dict[str, str]]:
    return [{"name": name, "value": str(value)} for name, value in flags.items()]


_READ_DIFFERENTLY: Final = re.compile(
    r"[-+]?(0[obx][0-9a-f_]+|[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|\.[0-9][0-9_]*(e[-+]?[0-9]+)?|\.(inf|nan))|[yn]",
    re.IGNORECASE,
)
"""Texts that some YAML parser reads as a number or boolean, such as `433e40`, `0o17` and `y`; PyYAML quotes not all."""


class _Dumper(yaml.SafeDumper):
    """Quotes every text that kubeadm's YAML parser would read as something else than a text."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", value, style="'" if _READ_DIFFERENTLY.fullmatch(value) else None
    )


_Dumper.add_representer(str, _text)


def _documents(*documents: Mapping[str, Any]) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=120)
