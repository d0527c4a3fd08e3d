"""The CIS Kubernetes Benchmark (v1.12), item by item: the test that shows that it holds here, or why it does not.

`python -m tests.cis > docs/cis.md` (`make docs`) writes the table. A unit test
fails where it is stale or names no test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_KUBEADM = "tests/unit/components/cluster/test_cis.py"
_NODE = "tests/e2e/test_cis.py"
_SECURITY = "tests/e2e/test_security.py"
_PODS = "tests/unit/components/pipeline/test_pod_security.py"

_HEADER: Final = """# The CIS Kubernetes Benchmark

Generated from `tests/cis.py` by `make docs`; do not edit. The items of v1.12 that concern a
cluster made by kubeadm, in short words. An item holds where a test says so: unit tests look at the configuration, tests
of `tests/e2e` at the lab's machines. Where an item does not hold, the last column says why, and what is there instead.

| item | what it asks for | holds | shown by, or why not |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item, or several that ask for the same of several files."""

    number: str
    asks: str
    """What it asks for, in short words."""
    test: str = ""
    """`file::function` of the test that shows it; empty where it does not hold."""
    why: str = ""
    """Why it does not hold, or what a reader should know beside the test."""


def _held(number: str, asks: str, test: str, why: str = "") -> Item:
    return Item(number=number, asks=asks, test=test, why=why)


def _left(number: str, asks: str, why: str) -> Item:
    return Item(number=number, asks=asks, why=why)


_FILES = f"{_NODE}::test_only_root_reads_a_node_s_files"
_FLAGS = f"{_NODE}::test_the_control_plane_s_programs_run_with_these_flags"
_SECRETS = f"{_SECURITY}::test_secrets_are_encrypted_in_etcd_with_one_key"
_AUDIT = "tests/unit/components/cluster/test_audit_policy.py::"
_KUBELET = f"{_NODE}::test_the_kubelet_runs_with_these_settings"

ITEMS: Final = (
    _held("1.1.1 to 1.1.8", "manifests of the control plane: 600, root", _FILES),
    _held("1.1.9, 1.1.10", "CNI configuration: 600, root", _FILES),
    _held("1.1.11", "etcd's data: 700", _FILES),
    _left("1.1.12", "etcd's data belongs to a user etcd", "kubeadm runs etcd as root; its rootless mode is an alpha"),
    _held("1.1.13 to 1.1.18", "kubeconfigs of administrator, scheduler, controller manager: 600, root", _FILES),
    _held("1.1.19 to 1.1.21", "certificates and keys: 600, root", _FILES),
    _left(
        "1.2.1",
        "no anonymous requests",
        "health checks and a joining machine have no identity: four paths answer, and no other "
        f"(`{_KUBEADM}::test_without_an_identity_only_health_and_cluster_info_answer`)",
    ),
    _held("1.2.2", "no token file", _FLAGS),
    _held("1.2.3", "DenyServiceExternalIPs", _FLAGS),
    _held("1.2.4", "a client certificate for kubelets", _FLAGS),
    _held("1.2.5", "kubelets' serving certificates are verified", _FLAGS),
    _held("1.2.6 to 1.2.8", "authorization by Node and RBAC, not AlwaysAllow", _FLAGS),
    _left("1.2.9", "EventRateLimit", "the plugin is an alpha; events have a priority level of their own"),
    _held("1.2.10", "no AlwaysAdmit", _FLAGS),
    _left(
        "1.2.11",
        "AlwaysPullImages",
        "each start of a pod would need the registry, so its failure would become the cluster's; images are by digest "
        "instead (images.requireDigests), and nobody but Argus runs pods",
    ),
    _held("1.2.12, 1.2.13", "ServiceAccount and NamespaceLifecycle are not disabled", _FLAGS),
    _held("1.2.14", "NodeRestriction", _FLAGS),
    _held("1.2.15", "no profiling", _FLAGS),
    _held("1.2.16 to 1.2.19", "an audit log: 30 days, 10 files, 100 MB", _FLAGS),
    _held("1.2.20", "a timeout for requests", _FLAGS, "the default, a minute"),
    _held("1.2.21", "service accounts are looked up", _FLAGS, "the default"),
    _held("1.2.22", "a key file for service accounts", _FLAGS),
    _held("1.2.23 to 1.2.26", "certificates for etcd, serving, and clients' CAs", _FLAGS),
    _held(
        "1.2.27, 1.2.28",
        "Secrets are encrypted at rest",
        f"{_SECURITY}::test_secrets_are_encrypted_in_etcd_with_one_key",
    ),
    _held("1.2.29", "strong ciphers only", _FLAGS, "TLS 1.3 only"),
    _left(
        "1.2.30",
        "service accounts' tokens are not extended",
        "an SDK of a user's own pods that reads its token once would fail after an hour; Argus's own read it again",
    ),
    _left("1.3.1", "a limit of terminated pods", "the default, 12500, is never reached: jobs keep one pod each"),
    _held("1.3.2 to 1.3.7", "controller manager: own identities, keys, no profiling, 127.0.0.1", _FLAGS),
    _held("1.4.1, 1.4.2", "scheduler: no profiling, 127.0.0.1", _FLAGS),
    _held("2.1 to 2.6", "etcd: certificates of clients and peers, none made by itself", _FLAGS),
    _held("2.7", "etcd has a CA of its own", _FLAGS),
    _left(
        "3.1.1 to 3.1.3",
        "no certificates, service accounts or bootstrap tokens for people",
        "people use the page; the cluster has one administrator's certificate, for Pulumi, renewed each quarter",
    ),
    _held(
        "3.2.1, 3.2.2",
        "an audit policy that covers what matters",
        "tests/unit/components/cluster/test_audit_policy.py::",
    ),
    _held("4.1.1, 4.1.2", "the kubelet's unit: 600, root", _FILES),
    _left("4.1.3, 4.1.4", "kube-proxy's kubeconfig: 600, root", "there is no such file: kube-proxy has a ConfigMap"),
    _held("4.1.5, 4.1.6", "the kubelet's kubeconfig: 600, root", _FILES),
    _held("4.1.7, 4.1.8", "the clients' CA: 644, root", _FILES),
    _held("4.1.9, 4.1.10", "the kubelet's configuration: 600, root", _FILES),
    _held("4.2.1 to 4.2.3", "kubelet: no anonymous requests, Webhook authorization, a clients' CA", _KUBELET),
    _held("4.2.4", "no read-only port", f"{_SECURITY}::test_a_kubelet_answers_nobody_it_does_not_know"),
    _held("4.2.5", "streams that idle end", _KUBELET, "the default, four hours"),
    _left("4.2.6", "the kubelet's iptables chains", "they are for kube-proxy's iptables mode; here it has nftables"),
    _left(
        "4.2.7",
        "no hostname override",
        "a node has the name that the stack gives its machine; a certificate is granted for that name and the stack's "
        "address only",
    ),
    _held("4.2.8", "events are recorded", _KUBELET, "the default, 50 a second"),
    _held(
        "4.2.9",
        "a serving certificate",
        f"{_NODE}::test_every_kubelet_serves_a_certificate_of_the_cluster_s",
        "signed by the cluster's CA on request",
    ),
    _held("4.2.10, 4.2.11", "certificates rotate", _KUBELET),
    _held("4.2.12", "strong ciphers only", _KUBELET, "TLS 1.3 only"),
    _held("4.2.13", "a limit of process IDs", _KUBELET),
    _held("4.2.14", "seccomp by default", _KUBELET),
    _held("4.3.1", "kube-proxy's metrics on 127.0.0.1", f"{_NODE}::test_kube_proxy_s_metrics_are_its_machine_s_alone"),
    _left(
        "5.1.1 to 5.1.13",
        "few rights: no cluster-admin, wildcards, tokens or default accounts in use",
        "the pipeline's pods have a token only where they ask the API, and few rights; KEDA, the Vertical Pod "
        "Autoscaler and Kubernetes itself bring roles of their own",
    ),
    _held(
        "5.2.1 to 5.2.13",
        "pods without privileges",
        f"{_KUBEADM}::test_every_namespace_that_argus_makes_has_pod_security_labels",
        "kube-system runs the control plane and is not limited",
    ),
    _held("5.3.1, 5.3.2", "network policies", "tests/unit/components/test_network_policies.py::"),
    _held("5.4.1", "secrets as files", f"{_KUBEADM}::test_secrets_reach_pods_as_files_only"),
    _left("5.4.2", "secrets in a store outside", "the stack's secrets are Pulumi's, which may use any such store"),
    _left(
        "5.5.1",
        "images are admitted by provenance",
        "not by default; where images.signers is set, only what cosign verified is admitted, by digest",
    ),
    _held("5.6.1 to 5.6.4", "namespaces, seccomp, security contexts; nothing in `default`", f"{_PODS}::"),
)


def table(items: Iterable[Item] = ITEMS) -> str:
    """The whole page as Markdown."""
    return _HEADER + "".join(f"{_row(item)}\n" for item in items)


def _row(item: Item) -> str:
    shown = f"`{item.test.removesuffix('::')}`" if item.test else ""
    last = "; ".join(part for part in (shown, item.why) if part)
    return f"| {item.number} | {item.asks} | {'yes' if item.test else 'no'} | {last} |"


if __name__ == "__main__":
    print(table(), end="")
