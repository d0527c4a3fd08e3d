"""The whole stack: configuration -> cluster -> platform -> pipeline -> outputs."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components import config, engine, registrations, remote, stack_outputs, versions
from components.autoscaling import Keda, KedaArgs, Vpa, VpaArgs
from components.cluster import Cluster, ClusterArgs, policy_agent
from components.cluster.policy_agent import PolicyAgent, PolicyAgentArgs
from components.config import lasting, registries
from components.images import Images, ImagesArgs
from components.pinned_images import PinnedImages
from components.pipeline import elasticsearch_peers, kafka, stages, ui
from components.pipeline.acme import IMAGE, Acme, AcmeArgs
from components.pipeline.audit_log import AuditLog
from components.pipeline.certificate_list import CertificateList
from components.pipeline.image_cache import ImageCache, ImageCacheArgs
from components.pipeline.image_policy import ImagePolicy, ImagePolicyArgs
from components.pipeline.kafka_identities import KafkaIdentities, KafkaIdentitiesArgs
from components.pipeline.namespace import Namespace, NamespaceArgs
from components.pipeline.network_policies import ELSEWHERE, NetworkPolicies, NetworkPoliciesArgs, pods
from components.pipeline.pod_certificates import PodCertificates, PodCertificatesArgs
from components.pipeline.pod_token import PodToken, PodTokenArgs
from components.pipeline.rules import rules
from components.pipeline.scraping import Scraping, ScrapingArgs
from components.pipeline.stage import Pipeline
from components.pipeline.vertical import VerticalScaling, VerticalScalingArgs, targets
from components.signatures import Signatures, SignaturesArgs, named_images

STAGES = stages.STAGES
settings = config.load(rules(STAGES))
engine.spare_costs()
registrations.wait_for_all()
pinned_images = PinnedImages(settings.images)

# The stack's last outputs tell which versions the cluster can be upgraded to, what it must keep, which machines need
# not be checked again, the kubeconfig with which a preview can tell what changes in the cluster, and its images.
made = stack_outputs.last("kubernetesVersion", "network", "lasting", "disks", "checks", "looks", "kubeconfig", "images")
lasts = lasting.of(settings)
enforced = settings.cluster.enforces_policies

# Nothing is touched before all images that the stack names are verified.
signatures_args = SignaturesArgs(section=settings.images)
verified = [Signatures("signatures", signatures_args).verified] if settings.images.signers else []

# The machines become a cluster while the images are built; the builds wait until all host keys have been read.
cluster = Cluster(
    "cluster",
    ClusterArgs(
        machines=settings.machines,
        ssh=remote.Ssh(options=settings.ssh),
        cluster=settings.cluster,
        backup=settings.backup,
        page_port=settings.ui.node_port,
        pods=stages.pod_memory_mib(STAGES, settings),
        volumes_gib=stages.volumes_gib(STAGES, settings),
        bounded_volumes=settings.storage.bounded,
        volume_encryption=settings.storage.encryption,
        digests=settings.images.digests,
        registries=registries.of_machines(settings.cluster, settings.images),
        running_version=made.apply(lambda outputs: outputs.get("kubernetesVersion")),
        running_kubeconfig=pulumi.Output.secret(made.apply(lambda outputs: outputs.get("kubeconfig", ""))),
        running_network=made.apply(lambda outputs: outputs.get("network")),
        refusals=made.apply(lambda outputs: lasting.refusals(outputs.get("lasting", {}), lasts)),
        disks=made.apply(lambda outputs: outputs.get("disks", {})),
        # Earlier versions called this output `looks`.
        checks=made.apply(lambda outputs: outputs.get("checks", outputs.get("looks", {}))),
    ),
    pulumi.ResourceOptions.merge(pinned_images.options, pulumi.ResourceOptions(depends_on=verified)),
)
built = Images(
    "images",
    ImagesArgs(
        images=stages.images_of(STAGES, settings),
        section=settings.images,
        models=settings.models,
    ),
    pulumi.ResourceOptions(depends_on=cluster.host_keys_read),
)
images = built.refs

# Everything below runs in the cluster and is deleted before its machines are drained.
provider = kubernetes.Provider(
    "cluster",
    kubeconfig=cluster.kubeconfig_for_providers,
    cluster_identifier=Cluster.IDENTIFIER,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    # Where images are verified, no pod changes before the last of them is.
    opts=pulumi.ResourceOptions(depends_on=[*cluster.drained, *(built.builds if verified else ())]),
)
in_cluster = pulumi.ResourceOptions.merge(
    pulumi.ResourceOptions(providers={"kubernetes": provider}), pinned_images.options
)
version = settings.cluster.kubernetes_version
namespace_args = NamespaceArgs(kubernetes_version=version)
image_policy = None
if settings.images.signers:
    policy_args = ImagePolicyArgs(
        namespaces=[namespace_args.name, *ELSEWHERE.values()],
        images=pulumi.Output.all(*images.values()).apply(lambda own: [*own, *named_images(settings.images)]),
        last=made.apply(lambda outputs: outputs.get("images", {})),
    )
    image_policy = ImagePolicy("image-policy", policy_args, in_cluster)
    # Each pod is made when it is admitted.
    in_cluster = pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[image_policy.in_force]))
namespace = Namespace("argus", namespace_args, in_cluster).name

# Autoscalers, each in a namespace of its own.
keda_args = KedaArgs(kubernetes_version=version, watched=namespace)
keda = Keda("keda", keda_args, in_cluster) if settings.scales_by_lag else None
vpa_args = VpaArgs(
    kubernetes_version=version,
    watched=namespace,
    image_repository=settings.cluster.image_repository,
    tools_image=images["consumer"],
    limits=settings.vertical,
)
vpa = Vpa("vpa", vpa_args, in_cluster) if settings.scales_vertically else None

# What keeps the page's certificate of an ACME server, in a namespace of its own too.
acme = None
if settings.ui.acme is not None:
    acme_args = AcmeArgs(
        kubernetes_version=version,
        image=images[IMAGE.name],
        section=settings.ui.acme,
        names=settings.ui.acme_names,
        page=namespace,
    )
    acme = Acme("acme", acme_args, in_cluster)

NetworkPolicies(
    "network-policies",
    NetworkPoliciesArgs(
        namespace=namespace,
        pods=pods(settings, STAGES),
        keda=keda.namespace if keda else None,
        vpa=vpa.namespace if vpa else None,
        acme=acme.namespace if acme else None,
        models=[model.name for model in settings.models],
        cameras=settings.cameras,
        cluster=settings.cluster,
        transport=settings.kafka.transport,
        zookeeper_transport=settings.zookeeper_transport,
        search_transport=settings.elasticsearch.transport,
        node_ports=elasticsearch_peers.ports(settings.elasticsearch).values(),
        kafka_outside=settings.kafka.outside is not None,
        audit=settings.audit.ship,
        open_id_connect=settings.access.open_id_connect,
        acme_ports=settings.ui.acme.outside_ports if settings.ui.acme else (),
    ),
    in_cluster,
)
if enforced:
    agent_args = PolicyAgentArgs(image=images[policy_agent.IMAGE.name], cluster=settings.cluster)
    PolicyAgent("policy-agent", agent_args, in_cluster)
certificates = PodCertificates(
    "pod-certificates", PodCertificatesArgs(namespace=namespace, section=settings.pod_secrets), in_cluster
)
token_args = PodTokenArgs(namespace=namespace, section=settings.pod_secrets, authority=certificates.authority)
token = PodToken("pod-token", token_args, in_cluster).secret
scraping_args = ScrapingArgs(namespace=namespace, section=settings.pod_secrets, certificates=certificates)
scraping = Scraping("metrics", scraping_args, in_cluster)
identities = (
    KafkaIdentities(
        "kafka-identities",
        KafkaIdentitiesArgs(namespace=namespace, transport=settings.kafka.transport, section=settings.pod_secrets),
        in_cluster,
    )
    if settings.kafka.transport != "plain"
    else None
)

# Cameras -> frames -> models -> results -> disk and page; each stage comes after the stages that it connects to.
pipeline = Pipeline(
    settings=settings,
    namespace=namespace,
    images=images,
    keda=keda,
    token=token,
    certificates=certificates,
    scraped=scraping.pods,
    identities=identities,
    acme=acme,
    opts=in_cluster,
)
for stage in STAGES:
    pipeline.add(stage)

# The API servers' audit log goes to Elasticsearch too.
if settings.audit.ship:
    AuditLog("audit-log", pipeline)

# By it the page says which certificates end.
CertificateList("certificates", pipeline)

# Vertical scaling of pods.
if vpa:
    watched = VerticalScalingArgs(namespace=namespace, vpa=vpa, targets=targets(settings, STAGES))
    VerticalScaling("vertical", watched, in_cluster)

# Pull images in advance to every machine on which a pod may have to start.
image_cache = ImageCache(
    "image-cache",
    ImageCacheArgs(
        namespace=namespace,
        images={name: images[name] for name in stages.moving_images(STAGES)},
        pause=f"{settings.cluster.image_repository}/pause:{versions.PAUSE}",
    ),
    pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=pipeline.components)),
)

pinned_images.check()


def recorded(outputs: Mapping[str, Any]) -> pulumi.Output[Mapping[str, Any]]:
    """What the stack is to keep, known once it is so: the image cache comes after the whole pipeline."""
    in_steps = lasting.goes_in_steps(outputs.get("lasting", {}), lasts)
    return pulumi.Output.from_input(image_cache.urn if in_steps else "").apply(lambda _: lasts)


pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("kubernetesVersion", cluster.kubernetes_version)
pulumi.export("network", cluster.network)
pulumi.export("lasting", made.apply(recorded))
pulumi.export("disks", cluster.disks)
pulumi.export("checks", cluster.checks)
if image_policy:
    # Once the whole pipeline has these images, for the same reason.
    after = pulumi.Output.all(image_policy.admitted, image_cache.urn)
    pulumi.export("images", after.apply(lambda known: known[0]))
pulumi.export("metricsToken", scraping.token)
pulumi.export("metricsCa", certificates.authority)
pulumi.export("uiUrl", settings.ui.address(settings.cluster.endpoint))
if password := pipeline.one(ui.Ui).password:
    pulumi.export("uiPassword", password)
if authority := pipeline.one(ui.Ui).authority:
    pulumi.export("uiCa", authority)
if servers := pipeline.one(kafka.Kafka).outside_servers:
    pulumi.export("kafkaServers", servers)
    pulumi.export("kafkaClients", pipeline.one(kafka.Kafka).outside_clients)
