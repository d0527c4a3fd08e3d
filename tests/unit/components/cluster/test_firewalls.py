"""Which firewalls of a machine are seen, by what their own programs print."""

import json

import pytest

from tests.unit.components.cluster.conftest import Host

UFW = """\
table ip filter {
\tchain ufw-before-input {
\t\tiifname "lo" counter packets 12 bytes 1044 accept
\t\tct state invalid counter packets 0 bytes 0 drop
\t}

\tchain INPUT {
\t\ttype filter hook input priority filter; policy drop;
\t\tcounter packets 1200 bytes 90211 jump ufw-before-logging-input
\t}

\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter packets 0 bytes 0 jump ufw-before-forward
\t}

\tchain OUTPUT {
\t\ttype filter hook output priority filter; policy accept;
\t}
}
"""
FIREWALLD = """\
table inet firewalld {
\tchain mangle_PREROUTING {
\t\ttype filter hook prerouting priority mangle + 10; policy accept;
\t\tdrop
\t}

\tchain filter_INPUT {
\t\ttype filter hook input priority filter + 10; policy accept;
\t\tct state { established, related } accept
\t\tct state invalid drop
\t\tjump filter_INPUT_ZONES
\t\treject with icmpx admin-prohibited
\t}
}
"""
DOCKER = """\
table ip nat {
\tchain DOCKER {
\t\tiifname "docker0" counter packets 0 bytes 0 return
\t}
}
table ip filter {
\tchain DOCKER {
\t\tiifname != "docker0" oifname "docker0" counter packets 0 bytes 0 drop
\t}

\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter packets 0 bytes 0 jump DOCKER-USER
\t\tcounter packets 0 bytes 0 jump DOCKER-FORWARD
\t}
}
"""
LAST_RULE = """\
table inet mine {
\tset known {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.1,
\t\t\t     192.0.2.2 }
\t}

\tchain in {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr @known accept
\t\tcounter packets 3 bytes 180 drop comment "the rest"
\t}

\tchain egress {
\t\ttype filter hook output priority filter; policy drop;
\t}
}
"""
OPEN = """\
table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr 198.51.100.7 drop
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy accept;
\t}
}
table ip filter {
\tchain KUBE-FIREWALL {
\t\tip saddr != 127.0.0.0/8 ip daddr 127.0.0.0/8 counter packets 0 bytes 0 drop
\t}

\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t\tcounter packets 0 bytes 0 jump KUBE-FIREWALL
\t}
}
"""
CRASHED = "exit 139"
"""As Debian 12's nft does on tables that a newer one has made."""


def firewalls(host: Host) -> list[str]:
    volumes = "/var/lib/argus/volumes"
    done = host.run("facts.sh", "1000 asked", virtual_ip="192.0.2.10", ports=("6443",), volumes=volumes)
    found: list[str] = json.loads(done.stdout)["firewalls"]
    return found


@pytest.fixture
def host(hosts: dict[str, Host]) -> Host:
    """A machine without any firewall."""
    host = hosts["worker1"]
    for program in ("ufw", "firewall-cmd", "nft"):
        host.program(program, "exit 127")
    host.path("/var/lib").mkdir(parents=True)
    return host


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({}, []),
        ({"ufw": "echo 'Status: inactive'"}, []),
        ({"ufw": "echo 'Status: active'"}, ["ufw"]),
        ({"firewall-cmd": "echo running"}, ["firewalld"]),
        ({"firewall-cmd": "echo 'not running' >&2; exit 252"}, []),
        ({"nft": CRASHED}, []),
        ({"nft": UFW}, ["nftables ip filter FORWARD", "nftables ip filter INPUT"]),
        ({"nft": FIREWALLD}, ["nftables inet firewalld filter_INPUT"]),
        ({"nft": DOCKER}, ["nftables ip filter FORWARD"]),
        ({"nft": LAST_RULE}, ["nftables inet mine in"]),
        ({"nft": OPEN}, []),
        ({"nft": OPEN + LAST_RULE}, ["nftables inet mine in"]),
    ],
)
def test_a_firewall_is_seen(host: Host, programs: dict[str, str], found: list[str]) -> None:
    for program, said in programs.items():
        host.program(program, f"cat <<'SAID'\n{said}SAID" if said.startswith("table ") else said)
    assert firewalls(host) == found


def test_a_node_is_not_asked(host: Host) -> None:
    host.program("nft", f"cat <<'SAID'\n{UFW}SAID")
    assert firewalls(host) != []
    host.path("/etc/kubernetes/kubelet.conf").write_text("    server: https://192.0.2.10:8443\n")
    host.path("noted").unlink()
    assert firewalls(host) == []
    assert host.ran("nft") == []


def test_the_old_iptables_is_asked_only_where_it_is_in_use(host: Host) -> None:
    host.program(
        "iptables-legacy",
        """printf '%s\\n' '-P INPUT ACCEPT' '-P FORWARD DROP' '-P OUTPUT DROP' '-A INPUT -i lo -j ACCEPT' \\
          '-A INPUT -s 198.51.100.7/32 -j DROP' '-A INPUT -j REJECT --reject-with icmp-port-unreachable'""",
    )
    names = host.path("/proc/net/ip_tables_names")
    names.parent.mkdir(parents=True)
    assert firewalls(host) == []
    assert host.ran("iptables-legacy") == []
    names.write_text("filter\n")
    assert firewalls(host) == ["iptables FORWARD", "iptables INPUT"]
