"""The manual way to a cluster: kubeadm.sh, and the files that a person writes for it, with Argus's settings."""

import base64
import secrets
from pathlib import Path

import yaml

from components.cluster import ClusterArgs, registries
from components.cluster.container_runtime import containerd_config
from components.cluster.endpoint import haproxy_config, keepalived_config
from components.cluster.kubeadm import (
    AUDIT_POLICY,
    AUTHENTICATION,
    ENCRYPTION_CONFIG,
    PATCHES,
    authentication_config,
    init_config,
    join_config,
)
from components.cluster.machine import program
from components.cluster.network import cni_config
from components.config import Machine
from lab.config import SSH_KEY
from lab.progress import step
from tests.bench.clock import timed

SCRIPT = Path(__file__).with_name("kubeadm.sh")


def files(args: ClusterArgs, machine: Machine, *, token: str, certificate_key: str) -> dict[str, str]:
    """The files that a person writes on one machine, by path."""
    cluster = args.cluster
    written = {"etc/containerd/config.toml": containerd_config(args), "root/cni.json": cni_config()}
    of_registries = registries.files(cluster, args.registries)
    written |= {f"{registries.CERTS.lstrip('/')}/{path}": text for path, text in of_registries.items()}
    if machine.control_plane:
        written["etc/haproxy/haproxy.cfg"] = haproxy_config(args.on(machine))
        written["etc/keepalived/keepalived.conf"] = keepalived_config(args.on(machine))
        written[AUDIT_POLICY.lstrip("/")] = program("audit-policy.yaml")
        written[AUTHENTICATION.lstrip("/")] = authentication_config()
        written[ENCRYPTION_CONFIG.lstrip("/")] = _encryption(bytes.fromhex(certificate_key))
    if machine == args.machines.control_planes[0]:
        # Argus makes a token and key for each machine; a person uses those of init for all.
        init, *others = yaml.safe_load_all(init_config(cluster, machine))
        init |= {"bootstrapTokens": [{"token": token}], "certificateKey": certificate_key}
        written["root/kubeadm.yaml"] = yaml.safe_dump_all([init, *others], sort_keys=False)
    else:
        joining = join_config(cluster, machine)
        filled = joining.replace("@TOKEN@", token).replace("@CERTIFICATE_KEY@", certificate_key)
        written["root/kubeadm.yaml"] = filled
    return {path: text.rstrip("\n") + "\n" for path, text in written.items()}


def _encryption(key: bytes) -> str:
    secretbox = {"keys": [{"name": "key1", "secret": base64.b64encode(key).decode()}]}
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"secretbox": secretbox}, {"identity": {}}]}],
    }
    return yaml.safe_dump(config, sort_keys=False)


class ByHand:
    """kubeadm.sh on the machines of a stack."""

    def __init__(self, folder: Path, args: ClusterArgs) -> None:
        token, key = f"{secrets.token_hex(3)}.{secrets.token_hex(8)}", secrets.token_hex(32)
        for each in args.all_machines:
            for path, text in files(args, each, token=token, certificate_key=key).items():
                target = folder / each.name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        self._environment = {
            "FILES": str(folder),
            "PATCHES": PATCHES,
            "SSH_KEY": str(SSH_KEY),
            "CONTROL_PLANES": "\n".join(f"{each.name} {each.address}" for each in args.machines.control_planes),
            "WORKERS": "\n".join(f"{each.name} {each.address}" for each in args.machines.active_workers),
            "BINARIES": args.cluster.binaries,
            "VERSION": args.cluster.kubernetes_version,
            "REPOSITORY": args.cluster.image_repository,
            "POD_NETWORK": str(args.cluster.pod_network),
        }

    def run(self, what: str, *names: str) -> float:
        """Run one of the script's steps. Returns its seconds."""
        with step(f"by hand: {what} {' '.join(names)}"):
            return timed([str(SCRIPT), what, *names], self._environment, f"by-hand-{what}")
