"""The stand-in for the Kubernetes plugin, with a real API server; the test acts as the workloads' controllers."""

import base64
import json
import time

from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project

HEAD = """
    import pulumi
    import pulumi_kubernetes as k
    provider = k.Provider("cluster", kubeconfig={kubeconfig!r}, cluster_identifier="test",
        enable_config_map_mutable=True, enable_secret_mutable=True)
    opts = pulumi.ResourceOptions(provider=provider)
"""


def write(project: Project, server: ApiServer, body: str) -> None:
    project.program(HEAD.format(kubeconfig=str(server.kubeconfig)) + body)


def test_objects_are_made_changed_and_deleted(project: Project, api_server: ApiServer) -> None:
    body = """
    space = k.core.v1.Namespace("space", metadata={{"name": "life"}}, opts=opts)
    settings = k.core.v1.ConfigMap("settings", metadata={{"name": "settings",
        "namespace": space.metadata["name"]}}, data={data}, opts=opts)
    secret = k.core.v1.Secret("secret", metadata={{"namespace": space.metadata["name"]}},
        string_data={{"password": "hunter2"}}, opts=opts)
    pulumi.export("secret", secret.metadata["name"])
    """
    write(project, api_server, body.format(data={"a.b": "1", "gone": "x"}))
    assert project.changes() == {"create": 5}
    project.up()
    name = project.outputs()["secret"]
    assert name.startswith("secret-")
    assert api_server.get("secret", name, "-n", "life")["data"] == {"password": "aHVudGVyMg=="}
    assert "hunter2" not in json.dumps(project.state("secret"))
    assert project.changes() == {}

    write(project, api_server, body.format(data={"a.b": "2"}))
    assert project.changes() == {"update": 1}
    project.up()
    assert api_server.get("configmap", "settings", "-n", "life")["data"] == {"a.b": "2"}
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert project.changes() == {}


def test_a_change_from_outside_is_seen_by_refresh_and_undone(project: Project, api_server: ApiServer) -> None:
    write(
        project,
        api_server,
        """
    k.core.v1.ConfigMap("drift", metadata={"name": "drift",
        "annotations": {"pulumi.com/patchForce": "true"}}, data={"key": "ours"}, opts=opts)
    """,
    )
    project.up()
    api_server.kubectl("patch", "configmap", "drift", "-p", '{"data": {"key": "theirs", "more": "x"}}')
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert project.changes() == {"update": 1}
    project.up()
    assert api_server.get("configmap", "drift")["data"] == {"key": "ours", "more": "x"}
    api_server.kubectl("delete", "configmap", "drift")
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert project.changes() == {"create": 1}


def test_what_a_pod_writes_into_a_secret_is_in_clear_nowhere_in_the_state_and_stays(
    project: Project, api_server: ApiServer
) -> None:
    """The plugin takes it for no secret, as no input is one: the SDK tells the engine that a Secret's data is."""
    body = """
    k.core.v1.Secret("kept", metadata={{"name": "kept", "labels": {{"round": "{round}"}}}},
        opts=pulumi.ResourceOptions(provider=provider, ignore_changes=["data"]))
    """

    def renew(key: str) -> str:
        encoded = base64.b64encode(key.encode()).decode()
        api_server.kubectl("patch", "secret", "kept", "-p", json.dumps({"data": {"tls.key": encoded}}))
        return encoded

    def hidden(*keys: str) -> bool:
        """Whether the state has the Secret's data, and none of these in clear."""
        state = project.state("kept")
        assert "data" not in state["inputs"]
        return "ciphertext" in state["outputs"]["data"] and not any(key in json.dumps(state) for key in keys)

    write(project, api_server, body.format(round="first"))
    project.up()
    first = renew("the first key")
    said = project.pulumi("refresh", "--yes", "--skip-preview", "--diff").text
    assert first not in said
    assert hidden(first)
    assert project.changes() == {}

    second = renew("the second key")
    write(project, api_server, body.format(round="second"))
    said = project.up("--diff").text
    assert second not in said
    assert hidden(first, second)
    assert api_server.get("secret", "kept")["data"] == {"tls.key": second}
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert project.changes() == {}


CLASS = """
    k.storage.v1.StorageClass("class", metadata={{"name": "fast"}}, provisioner="example.com/{provisioner}",
        reclaim_policy="{policy}", opts=opts)
"""


def test_an_immutable_field_replaces_the_object(project: Project, api_server: ApiServer) -> None:
    write(project, api_server, CLASS.format(provisioner="a", policy="Delete"))
    project.up()
    before = api_server.get("storageclass", "fast")["metadata"]["uid"]
    write(project, api_server, CLASS.format(provisioner="b", policy="Delete"))
    assert project.changes() == {"replace": 1}
    project.up()
    after = api_server.get("storageclass", "fast")
    assert after["provisioner"] == "example.com/b"
    assert after["metadata"]["uid"] != before


def test_a_field_that_only_the_api_server_holds_fast_is_an_update_that_it_refuses(
    project: Project, api_server: ApiServer
) -> None:
    """As with the official plugin, whose table knows some fields only: nothing is replaced, and the error names it."""
    write(project, api_server, CLASS.format(provisioner="a", policy="Delete"))
    project.up()
    before = api_server.get("storageclass", "fast")
    write(project, api_server, CLASS.format(provisioner="a", policy="Retain"))
    assert project.changes() == {"update": 1}
    assert "reclaimPolicy" in project.up(ok=False).text
    assert api_server.get("storageclass", "fast") == before


def test_data_of_a_provider_that_does_not_take_it_for_mutable_is_replaced(
    project: Project, api_server: ApiServer
) -> None:
    head = HEAD.replace("enable_config_map_mutable=True, ", "")
    body = f"""{head}
    k.core.v1.ConfigMap("frozen", metadata={{{{"name": "frozen"}}}}, data={{{{"a": "{{value}}"}}}}, opts=opts)
    """
    project.program(body.format(kubeconfig=str(api_server.kubeconfig), value=1))
    project.up()
    before = api_server.get("configmap", "frozen")["metadata"]["uid"]
    project.program(body.format(kubeconfig=str(api_server.kubeconfig), value=2))
    assert project.changes() == {"replace": 1}
    project.up()
    after = api_server.get("configmap", "frozen")
    assert after["data"] == {"a": "2"}
    assert after["metadata"]["uid"] != before


def test_a_preview_says_what_an_unknown_may_change(project: Project, api_server: ApiServer) -> None:
    """An unknown value is a change: an update, or a replacement where the field holds an object fast."""
    body = """
    import pulumi_command as command
    read = command.local.Command("read", create="echo {value}", update="echo {value}")
    k.core.v1.ConfigMap("told", metadata={{"name": "told"}}, data={{"a": read.stdout}}, opts=opts)
    k.storage.v1.StorageClass("told", metadata={{"name": "told"}},
        provisioner=pulumi.Output.format("example.com/{{0}}", read.stdout), opts=opts)
    """
    write(project, api_server, body.format(value="a"))
    project.up()
    assert project.changes() == {}
    write(project, api_server, body.format(value="b"))
    assert project.changes() == {"update": 2, "replace": 1}
    project.up()
    assert api_server.get("configmap", "told")["data"] == {"a": "b"}


def test_an_object_that_is_there_is_imported_as_it_is(project: Project, api_server: ApiServer) -> None:
    api_server.kubectl("create", "configmap", "theirs", "--from-literal=a=b")
    uid = api_server.get("configmap", "theirs")["metadata"]["uid"]
    body = """
    k.core.v1.ConfigMap("theirs", metadata={"name": "theirs", "namespace": "default"}, data={"a": "%s"},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(import_="default/theirs")))
    """
    write(project, api_server, body % "b")
    project.up()
    live = api_server.get("configmap", "theirs")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"a": "b"})
    assert project.changes() == {}
    project.destroy()
    api_server.kubectl("get", "configmap", "theirs", ok=False)


DEPLOYMENT = """
    labels = {{"app": "web"}}
    k.apps.v1.Deployment("web", metadata={{"name": "web", "annotations": {{"pulumi.com/timeoutSeconds": "{limit}"}}}},
        spec={{"replicas": {replicas}, "selector": {{"matchLabels": labels}}, "template": {{
            "metadata": {{"labels": labels}},
            "spec": {{"containers": [{{"name": "web", "image": "web"}}]}}}}}}, opts=opts)
"""


def test_a_workload_that_is_not_ready_fails_and_is_taken_up_again(project: Project, api_server: ApiServer) -> None:
    write(project, api_server, DEPLOYMENT.format(limit=2, replicas=1))
    text = project.up(ok=False).text
    assert "web" in text
    assert "not ready" in text
    assert "timed out after 2s" in text
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    api_server.kubectl(
        "patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )
    assert project.changes() == {"update": 1}
    project.up()
    assert project.changes() == {}


def test_a_custom_resource_waits_for_its_definition(project: Project, api_server: ApiServer) -> None:
    write(
        project,
        api_server,
        """
    k.apiextensions.v1.CustomResourceDefinition("definition", metadata={"name": "lamps.argus.dev"}, spec={
        "group": "argus.dev", "scope": "Namespaced", "names": {"kind": "Lamp", "plural": "lamps"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}, opts=opts)
    k.apiextensions.CustomResource("lamp", api_version="argus.dev/v1", kind="Lamp", metadata={"name": "lamp"},
        spec={"watts": 5}, opts=opts)
    """,
    )
    project.up()
    assert api_server.get("lamp", "lamp")["spec"] == {"watts": 5}
    project.destroy()
    api_server.kubectl("get", "crd", "lamps.argus.dev", ok=False)


def test_an_existing_object_of_somebody_else_is_refused(project: Project, api_server: ApiServer) -> None:
    api_server.kubectl("create", "configmap", "theirs", "--from-literal=a=b")
    write(
        project, api_server, 'k.core.v1.ConfigMap("theirs", metadata={"name": "theirs"}, opts=opts)'.join(["    ", ""])
    )
    assert "already exists" in project.up(ok=False).text
    api_server.kubectl("delete", "configmap", "theirs")


def test_deletion_waits_for_finalizers(project: Project, api_server: ApiServer) -> None:
    write(
        project,
        api_server,
        """
    k.core.v1.ConfigMap("held", metadata={"name": "held", "finalizers": ["argus.dev/hold"],
        "annotations": {"pulumi.com/timeoutSeconds": "2"}}, opts=opts)
    """,
    )
    project.up()
    text = project.destroy(ok=False).text
    assert "argus.dev/hold" in text
    api_server.kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    project.destroy()


def test_without_a_cluster_preview_works_and_deletion_says_what_to_do(project: Project, api_server: ApiServer) -> None:
    body = """
    first = k.core.v1.ConfigMap("lost", metadata={"name": "lost"}, data={"a": "b"}, opts=opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[first]))
    k.core.v1.ConfigMap("lost-before", metadata={"name": "lost-before"}, data={"a": "b"}, opts=after)
    """
    write(project, api_server, body)
    project.up()
    gone = api_server.kubeconfig.read_text().replace("https://127.0.0.1:", "https://127.0.0.2:")
    project.program(HEAD.format(kubeconfig=gone) + body)
    assert project.changes() == {"update": 1}  # Only the provider: of a cluster with an identifier, any place will do.
    project.up()
    project.program(HEAD.format(kubeconfig=gone))
    start = time.monotonic()
    assert "PULUMI_K8S_DELETE_UNREACHABLE=true" in project.up(ok=False).text
    assert time.monotonic() - start < 90
    project.environment["PULUMI_K8S_DELETE_UNREACHABLE"] = "true"
    assert "dropped from the state" in project.up().text
    api_server.kubectl("delete", "configmap", "lost", "lost-before")


def test_a_kubeconfig_that_is_not_known_yet_replaces_nothing_of_a_cluster_with_an_identifier(
    project: Project, api_server: ApiServer
) -> None:
    program = """
    import pulumi
    import pulumi_command as command
    import pulumi_kubernetes as k
    read = command.local.Command("read", create="cat {path} # {time}")
    provider = k.Provider("cluster", kubeconfig=read.stdout, {identifier})
    k.core.v1.ConfigMap("kept", metadata={{"name": "kept"}}, opts=pulumi.ResourceOptions(provider=provider))
    """

    def write_late(time: int, identifier: str) -> None:
        project.program(program.format(path=api_server.kubeconfig, time=time, identifier=identifier))

    named = 'cluster_identifier="test"'
    write_late(1, "")
    project.up()
    uid = api_server.get("configmap", "kept")["metadata"]["uid"]
    write_late(2, "")
    assert project.changes().get("replace", 0) >= 2, "as the official plugin says: it may be another cluster"
    write_late(2, named)
    project.up()
    write_late(3, named)
    assert project.changes().keys() == {"update"}
    project.up()
    assert api_server.get("configmap", "kept")["metadata"]["uid"] == uid


def test_a_preview_with_the_last_kubeconfig_tells_what_changes_and_the_update_takes_what_it_reads(
    project: Project, api_server: ApiServer
) -> None:
    program = """
    import pulumi
    import pulumi_command as command
    import pulumi_kubernetes as k
    from components import engine, stack_outputs
    read = command.local.Command("read", create="cat {path}; echo '\\n# read {time}'")
    last = stack_outputs.last("kubeconfig").apply(lambda made: made.get("kubeconfig", ""))
    guess = pulumi.Output.secret(last).apply(lambda text: text and text + " before")
    provider = k.Provider("cluster", kubeconfig=engine.foreseen(read.stdout, guess), cluster_identifier="test",
        enable_config_map_mutable=True)
    opts = pulumi.ResourceOptions(provider=provider)
    k.core.v1.ConfigMap("still", metadata={{"name": "still"}}, opts=opts)
    k.core.v1.ConfigMap("moves", metadata={{"name": "moves"}}, data={{"time": "{time}"}}, opts=opts)
    pulumi.export("kubeconfig", pulumi.Output.secret(read.stdout))
    """
    project.environment["PYTHONPATH"] = str(ROOT)

    def read_at(time: int) -> None:
        project.program(program.format(path=api_server.kubeconfig, time=time))

    read_at(1)
    project.up()
    read_at(2)
    assert project.changes() == {"update": 3}, "the command, the provider and the object that changes"
    project.up()
    kubeconfig = project.outputs()["kubeconfig"]
    assert kubeconfig.endswith("# read 2")
    assert api_server.get("configmap", "moves")["data"] == {"time": "2"}
    assert project.changes() == {}, "so the provider has what was read"


def test_what_only_the_real_plugin_does_is_refused_clearly(project: Project, api_server: ApiServer) -> None:
    write(project, api_server, '    k.core.v1.NodePatch("node", metadata={"name": "n"}, opts=opts)\n')
    assert "stand-in" in project.up(ok=False).text
