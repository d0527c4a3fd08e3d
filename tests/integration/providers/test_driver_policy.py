"""The drivers' admission policy at a real API server, made by the component, asked with tokens of drivers' pods."""

import json
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project
from tests.integration.services import wait_for
from tests.unit.components.pipeline.test_driver_policy import BAD, EXECUTOR, OWNER, Pod

NAMESPACE = "drivers"
"""Without the profile that the pipeline's namespace enforces, which would refuse some of the pods first."""
PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import pulumi
    import pulumi_kubernetes as kubernetes
    from components.pipeline.driver_policy import DriverPolicy, DriverPolicyArgs
    provider = kubernetes.Provider("cluster", kubeconfig={kubeconfig!r})
    DriverPolicy("policy", DriverPolicyArgs(namespace={namespace!r}, image="spark:1"),
        pulumi.ResourceOptions(providers={{"kubernetes": provider}}))
"""
ACCOUNTS = ("model-objects", "model-motion", "another")


class Asked:
    """The API server, asked by a service account for pods in the namespace."""

    def __init__(self, server: ApiServer, token: str) -> None:
        config = json.loads(server.kubeconfig.read_text())
        self._url = f"{config['clusters'][0]['cluster']['server']}/api/v1/namespaces/{NAMESPACE}/pods"
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(verify=False, headers=headers, timeout=60, trust_env=False)

    def create(self, pod: Pod) -> httpx.Response:
        return self._client.post(self._url, json=pod)

    def label(self, name: str, labels: dict[str, str]) -> httpx.Response:
        patch = {"metadata": {"labels": labels}}
        kind = {"Content-Type": "application/strategic-merge-patch+json"}
        return self._client.patch(f"{self._url}/{name}", json=patch, headers=kind)

    def delete(self, name: str) -> httpx.Response:
        return self._client.delete(f"{self._url}/{name}", params={"gracePeriodSeconds": "0"})

    def delete_all(self, labels: str) -> httpx.Response:
        return self._client.delete(self._url, params={"labelSelector": labels, "gracePeriodSeconds": "0"})


def refused(answer: httpx.Response) -> bool:
    """Whether the policy refused it, and nobody else."""
    return answer.status_code == HTTPStatus.FORBIDDEN and f"'{NAMESPACE}-drivers'" in answer.json()["message"]


def driver_pod(name: str, account: str) -> Pod:
    container = {"name": "driver", "image": "spark:1"}
    labels = {"app.kubernetes.io/name": account, "app.kubernetes.io/component": "driver"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"serviceAccountName": account, "containers": [container]},
    }


@pytest.fixture
def owner(project: Project, api_server: ApiServer) -> str:
    """The UID of the pod of `objects`' driver. The policy is there, and several accounts that may do all to pods."""
    api_server.kubectl("create", "namespace", NAMESPACE)
    api_server.kubectl("create", "role", "pods", "-n", NAMESPACE, "--verb=*", "--resource=pods")
    # Executors', which a controller makes in a whole cluster.
    api_server.kubectl("create", "serviceaccount", "default", "-n", NAMESPACE)
    for account in ACCOUNTS:
        api_server.kubectl("create", "serviceaccount", account, "-n", NAMESPACE)
        subject = f"--serviceaccount={NAMESPACE}:{account}"
        api_server.kubectl("create", "rolebinding", account, "-n", NAMESPACE, "--role=pods", subject)
        api_server.kubectl("create", "-f", "-", stdin=json.dumps(driver_pod(f"{account}-0", account)))
    text = PROGRAM.format(root=str(ROOT), kubeconfig=str(api_server.kubeconfig), namespace=NAMESPACE)
    project.program(text)
    project.up()
    assert project.changes() == {}
    found: str = api_server.get("pod", "model-objects-0", "-n", NAMESPACE)["metadata"]["uid"]
    return found


def test_a_driver_makes_its_own_executors_and_nothing_else(owner: str, api_server: ApiServer) -> None:
    def of(account: str) -> Asked:
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={account}-0")
        return Asked(api_server, api_server.kubectl("create", "token", account, "-n", NAMESPACE, *bound).strip())

    def pod(made: Pod, name: str, of: str = "model-objects") -> Any:
        text = json.dumps(made).replace(OWNER, owner).replace('"driver-0"', '"model-objects-0"')
        spec = json.loads(text.replace('"model-objects-rpc', f'"{of}-rpc'))
        spec["metadata"] |= {"name": name, "namespace": NAMESPACE}
        return spec

    driver, other, unbound = (of(account) for account in ACCOUNTS)

    # The API server notices a new policy within a second or so.
    def in_force() -> bool:
        answer = driver.create(pod(BAD["a machine's folder"], "early"))
        assert refused(answer), answer.text
        return True

    wait_for("the policy", in_force, seconds=60)

    for name in ("one", "two", "three"):
        assert driver.create(pod(EXECUTOR, name)).status_code == HTTPStatus.CREATED
    assert driver.label("one", {"spark-exec-inactive": "true"}).status_code == HTTPStatus.OK
    assert driver.delete("one").status_code == HTTPStatus.OK

    answers = {why: driver.create(pod(bad, "bad")) for why, bad in BAD.items()}
    # What is no pod at all is refused before a policy is asked.
    invalid = HTTPStatus.UNPROCESSABLE_ENTITY
    assert {w: a.text for w, a in answers.items() if not refused(a) and a.status_code != invalid} == {}
    assert refused(driver.label("two", {"app.kubernetes.io/name": "kafka"}))
    assert refused(driver.label("model-motion-0", {"app.kubernetes.io/name": "kafka"}))
    assert refused(driver.delete("model-motion-0"))
    assert refused(driver.delete("model-objects-0")), "nor itself"
    assert refused(driver.delete_all("app.kubernetes.io/component=driver"))

    # Another driver has no part in it, and cannot name this one as its executors' owner.
    assert refused(other.delete("two"))
    assert refused(other.create(pod(EXECUTOR, "foreign")))
    stolen = pod(EXECUTOR, "stolen", of="model-motion")
    stolen["metadata"]["labels"]["app.kubernetes.io/name"] = "model-motion"
    assert refused(other.create(stolen))

    # Other accounts are a matter of their roles alone.
    assert unbound.create(pod(BAD["a machine's folder"], "free")).status_code == HTTPStatus.CREATED
    assert unbound.delete("free").status_code == HTTPStatus.OK
    assert driver.delete_all("spark-role=executor").status_code == HTTPStatus.OK
