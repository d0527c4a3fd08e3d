"""Nobody gets into ZooKeeper, at any of its ports, but who belongs there; in plain, everybody does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from components.config.sections import Transport
from components.pipeline.kafka_grants import BROKER
from components.pipeline.zookeeper import CLIENT, ELECTION, QUORUM, SECURE_CLIENT
from components.pipeline.zookeeper_identities import DIR, MEMBER, QUORUM_DIR
from tests.e2e import knock
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.doors import Door, observes, reads, votes, with_certificate
from tests.integration.kafka.ensemble import Authorities, Ensemble

DOORS: Mapping[int, Door] = {CLIENT: reads, SECURE_CLIENT: reads, QUORUM: observes, ELECTION: votes}
IN_PLAIN, WITHOUT, BROKER_HERE, MEMBER_HERE, AMONG_MEMBERS = (
    "in plain",
    "with TLS and no certificate",
    "broker",
    "member",
    "member, as it shows itself to members",
)
BOTH_WAYS = {
    (IN_PLAIN, CLIENT),
    (BROKER_HERE, SECURE_CLIENT),
    (MEMBER_HERE, SECURE_CLIENT),
    *((who, port) for who in (IN_PLAIN, AMONG_MEMBERS) for port in (QUORUM, ELECTION)),
}
GETS_IN: Mapping[Transport, set[tuple[str, int]]] = {
    "plain": {(IN_PLAIN, CLIENT), (IN_PLAIN, QUORUM), (IN_PLAIN, ELECTION)},
    "both": BOTH_WAYS,
    "prefer": BOTH_WAYS,
    "tls": {each for each in BOTH_WAYS if each[0] != IN_PLAIN},
}


@pytest.mark.parametrize(
    "transport", ["tls", *(pytest.param(each, marks=pytest.mark.full) for each in ("plain", "both", "prefer"))]
)
def test_only_brokers_and_members_get_in(transport: Transport, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    authorities, kafka = Authorities(tmp_path / "authorities"), Authority(tmp_path / "kafka")
    certificates = {
        BROKER_HERE: authorities.broker(0)[DIR],
        MEMBER_HERE: authorities.member(0)[DIR],
        AMONG_MEMBERS: authorities.member(0)[QUORUM_DIR],
        # Kafka knows these, by the same names as well.
        **{f"{name} of Kafka's": kafka.identity(name) for name in ("producer", "consumer", BROKER, MEMBER)},
    }
    everybody = {
        IN_PLAIN: None,
        WITHOUT: with_certificate(None),
        **{who: with_certificate(folder) for who, folder in certificates.items()},
    }
    with Ensemble(tmp_path, authorities, transport) as ensemble:
        # Only the leader listens for members.
        leader = ensemble.roles().index("leader")
        found = {
            (who, port)
            for who, context in everybody.items()
            for port, door in DOORS.items()
            if door(ensemble.ports[leader][port], context)
        }
        assert found == GETS_IN[transport]
        if transport == "tls":
            assert [knock.served("127.0.0.1", port) for port in ensemble.ports[leader].values()] == [[]] * len(DOORS)
            _a_tool_in_a_member_s_pod_gets_in(ensemble, leader)


def _a_tool_in_a_member_s_pod_gets_in(ensemble: Ensemble, number: int) -> None:
    """Or an administrator could look at nothing there."""
    server = f"localhost:{ensemble.ports[number][SECURE_CLIENT]}"
    tool = ["zkCli.sh", "-server", server, "-client-configuration", "/conf/client.properties", "ls", "/"]
    assert "[zookeeper]" in services.output(ensemble.names[number], *tool)
