"""Servers in plain serve a stranger who knocks (tests/e2e/knock.py): so, on the lab, silence is a refusal."""

from urllib.parse import urlsplit

import httpx

from tests.e2e import knock
from tests.integration import services


def test_servers_in_plain_serve_a_stranger(kafka: str, elasticsearch: str) -> None:
    (node,) = httpx.get(f"{elasticsearch}/_nodes/_local/transport").json()["nodes"].values()
    with services.zookeeper("knock") as zookeeper:
        places = {"ZooKeeper": zookeeper, "Kafka": kafka, "HTTP": urlsplit(elasticsearch).netloc}
        places["Elasticsearch"] = node["transport"]["publish_address"]
        wanted = {"away": [], "serving": {place: [f"{name} in plain"] for name, place in places.items()}}
        # ZooKeeper listens before it serves.
        services.wait_for("all to serve a stranger", lambda: knock.told(places.values()) == wanted, seconds=120)
