"""The web page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta, rbac

from apps.access import document, hashes
from apps.messages.names import FRAMES_TOPIC
from components import drawn
from components import kubernetes as k
from components.autoscaling import CpuScaling, CpuScalingArgs
from components.config import sections
from components.images import APP, Image
from components.pipeline import acme, certificate_list, pod_certificates, pod_token
from components.pipeline.consumer import Consumer
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.elasticsearch_grants import UI
from components.pipeline.page_certificate import PageCertificate, PageCertificateArgs
from components.pipeline.producers import Producers
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("ui", "web")
DISKS_ROLE: Final = "argus-ui-disks"
BREAK_GLASS: Final = "admin"
"""The user of a stack that names none."""


def access_file(section: sections.Access, password: str | None, page: str) -> str:
    """What a pod reads of who may look at what, as JSON.

    `password` is the drawn one of a stack that names no user, and `page` the URL at which browsers open the page.
    """
    users = {
        name: document.User(
            hash=user.password_hash.get_secret_value(),
            role=user.role,
            cameras=document.patterns(user.groups, section.patterns),
            version=user.version,
        )
        for name, user in section.users.items()
    }
    if password is not None:
        everything = section.patterns[sections.ALL_CAMERAS]
        users[BREAK_GLASS] = document.User(hash=hashes.hash_token(password), role="admin", cameras=everything)
    access = document.Access(
        users=users,
        tokens={
            name: document.Token(
                hash=token.token_hash.get_secret_value(),
                role=token.role,
                cameras=document.patterns(token.groups, section.patterns),
            )
            for name, token in section.tokens.items()
        },
        open_id_connect=_open_id_connect(section, page),
        idle_seconds=60 * section.sessions.idle_minutes,
        absolute_seconds=3600 * section.sessions.absolute_hours,
    )
    # Without a provider the file is as pods of an earlier version know it.
    return access.model_dump_json(indent=2, exclude_none=True)


def _open_id_connect(section: sections.Access, page: str) -> document.OpenIdConnect | None:
    given = section.open_id_connect
    if given is None:
        return None
    return document.OpenIdConnect(
        issuer=given.issuer,
        client_id=given.client_id,
        client_secret=given.client_secret.get_secret_value(),
        scopes=given.scopes,
        claim=given.claim,
        name_claim=given.name_claim,
        label=given.label,
        roles=tuple(
            document.Mapped(value=each.value, role=each.role, cameras=document.patterns(each.groups, section.patterns))
            for each in given.roles
        ),
        ca=given.ca,
        page=page,
        version=given.version,
    )


class Ui(pulumi.ComponentResource):
    """The web page's pods, reachable at the same port on every machine."""

    node_port: pulumi.Output[int]
    password: pulumi.Output[str] | None
    """The drawn password of `admin`, a secret; None if the stack names users."""
    authority: pulumi.Output[str] | None = None
    """The certificate of the authority that Argus made for the page; None if it made none."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Ui", name, None, pipeline.opts)
        settings, section = pipeline.settings, pipeline.settings.ui
        workload = pipeline.workload("ui", LABELS, self)
        # Its content is the pods': by it they tell each other of logouts.
        logouts = core.v1.ConfigMap(
            f"{name}-sessions",
            metadata=workload.named("ui-sessions").metadata(),
            opts=pulumi.ResourceOptions.merge(workload.opts, pulumi.ResourceOptions(ignore_changes=["data"])),
        )
        access, search = pipeline.kafka_access("ui"), pipeline.one(Elasticsearch).client(UI)
        scraped = pipeline.scraped
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": pipeline.one(Topics).bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(results_topics(settings)),
            **search.variables,
            "ARGUS_CONSUMER_URLS": pipeline.one(Consumer).urls.apply(",".join),
            "ARGUS_PRODUCER_URLS": pipeline.one(Producers).urls.apply(",".join),
            # The cameras that the live wall shows at first.
            "ARGUS_CAMERAS": ",".join(camera.name for camera in settings.cameras),
            "ARGUS_STANDBY_MACHINES": ",".join(machine.name for machine in settings.machines.standby),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
            "ARGUS_PROBE_PORT": str(k.PROBE_PORT),
            "ARGUS_ACCESS_DIR": k.SECRETS_DIR,
            "ARGUS_TOKEN_FILE": str(pod_token.FILE),
            "ARGUS_AUTHORITY_FILE": str(pod_token.AUTHORITY),
            **scraped.variables,
            "ARGUS_SESSIONS_CONFIG_MAP": logouts.metadata.name.apply(str),
            "ARGUS_CERTIFICATES_DIR": certificate_list.DIR,
            **access.variables,
        }
        # Pods read these again when they change, so a new user or certificate restarts nothing.
        secrets = [("secrets", k.SECRETS_DIR, self._access(name, pipeline, workload))]
        tls_secret = pulumi.Output.from_input(section.tls_secret) if section.tls_secret else None
        if section.own_certificate:
            names = section.names(settings.cluster.endpoint)
            args = PageCertificateArgs(workload=workload, names=names, redraw=section.tls_redraw)
            certificate = PageCertificate(f"{name}-tls", args, workload.opts)
            tls_secret, self.authority = certificate.secret, certificate.authority
        if tls_secret is not None:
            variables["ARGUS_TLS_DIR"] = pod_certificates.DIR
            secrets.append((pod_certificates.VOLUME, pod_certificates.DIR, tls_secret))
        if pipeline.acme is not None:
            variables["ARGUS_ACME_DIR"] = acme.PAGE_DIR
            secrets.append(("acme", acme.PAGE_DIR, pipeline.acme.secret))
        config = k.config_map(f"{name}-config", workload, variables)
        k.service(f"{name}-service", workload, k.HTTP_PORTS, node_port=section.node_port)
        k.disruption_budget(f"{name}-budget", workload)
        container = k.app_container("ui", pipeline.images["ui"], config, section.memory, cpu="30m")
        container.volume_mounts = [
            *(k.mount(volume, path, read_only=True) for volume, path, _ in secrets),
            pod_token.mount(),
            *scraped.mounts,
            certificate_list.mount(),
            *access.mounts,
            *search.mounts,
            k.mount("tmp", "/tmp"),
        ]
        # The page shows which pods cannot be scheduled.
        sees_pods = rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list"])
        tells_logouts = rbac.v1.PolicyRuleArgs(
            api_groups=[""],
            resources=["configmaps"],
            resource_names=[logouts.metadata.name],
            verbs=["get", "update"],
        )
        deployment = k.deployment(
            f"{name}-deployment",
            workload,
            container,
            [
                *(k.secret_volume(secret, volume) for volume, _, secret in secrets),
                pod_token.volume(pipeline.token),
                *scraped.volumes,
                certificate_list.volume(),
                *access.volumes,
                *search.volumes,
                k.scratch_volume(),
            ],
            contents=[variables, {"authority": pipeline.certificates.authority}, *access.contents, *search.contents],
            replicas=section.replicas.fixed,
            service_account=self._account(name, workload, [sees_pods, tells_logouts]),
            grace_seconds=15,
        )
        if section.replicas.fixed is None:
            scaling = CpuScalingArgs(workload=workload.named(deployment.metadata.name), replicas=section.replicas)
            CpuScaling(name, scaling, workload.opts)
        self.node_port = pulumi.Output.from_input(section.node_port)
        self.register_outputs({"node_port": self.node_port, "password": self.password, "authority": self.authority})

    def _account(self, name: str, workload: k.Workload, rules: Sequence[rbac.v1.PolicyRuleArgs]) -> pulumi.Output[str]:
        """The name of the account, which may also ask each node's kubelet how full its disks are, and nothing else."""
        account = k.service_account(name, workload, rules)
        labelled = dict(LABELS)
        role = rbac.v1.ClusterRole(
            f"{name}-disks-role",
            metadata=meta.v1.ObjectMetaArgs(name=DISKS_ROLE, labels=labelled),
            rules=[
                rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=["list"]),
                rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["nodes/stats"], verbs=["get"]),
            ],
            opts=workload.opts,
        )
        k.cluster_binding(
            f"{name}-disks-binding",
            DISKS_ROLE,
            labelled,
            role=role.metadata.name,
            subject=k.account_subject(account, workload.namespace),
            opts=workload.opts,
        )
        return account

    def _access(self, name: str, pipeline: Pipeline, workload: k.Workload) -> pulumi.Output[str]:
        """The name of the Secret with who may look at what, and the key of sessions."""
        section = pipeline.settings.access
        page = pipeline.settings.ui.address(pipeline.settings.cluster.endpoint)
        key = drawn.secret(f"{name}-session-key", redraw=section.redraw, opts=workload.opts)
        self.password = None
        if not section.users:
            self.password = drawn.secret(f"{name}-password", redraw=section.redraw, opts=workload.opts)
        files = pulumi.Output.all(key, self.password).apply(
            lambda given: {
                document.KEY_FILE: f"{given[0]}\n",
                document.ACCESS_FILE: access_file(section, given[1], page),
            }
        )
        made = core.v1.Secret(
            f"{name}-access",
            metadata=workload.named("ui-access").metadata(),
            string_data=files,
            opts=workload.opts,
        )
        return made.metadata.name.apply(str)


STAGE: Final = Stage(
    name="ui",
    section="ui",
    image=Image(name="ui", paths=(*APP, "apps/access", "apps/ui")),
    pods={"ui": LABELS},
    kind="Deployment",
    declare=lambda pipeline: [Ui("ui", pipeline)],
)
