"""The API's address: a virtual IP held by a live control plane, with HAProxy behind it."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.kubeadm import API_PORT
from components.cluster.machine import script


class Endpoint(pulumi.ComponentResource):
    """HAProxy and keepalived on one control plane. The API servers behind them belong to Node."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Endpoint", name, {}, opts)
        remote.command(
            f"{name}-configured",
            host=args.machine.host,
            ssh=args.ssh,
            create=script(
                "endpoint.sh",
                address=args.machine.host,
                virtual_ip=args.endpoint,
                port=args.cluster.endpoint_port,
                haproxy=haproxy_config(args),
                keepalived=keepalived_config(args),
                control_planes=[machine.name for machine in args.machines.control_planes],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def haproxy_config(args: MachineArgs) -> str:
    """HAProxy's configuration: new connections go to a ready API server; connections to a dead machine are closed.

    A dead machine gets no new connection after 4 s (two checks of 2 s), and TCP timeouts close its old ones after 8 s.
    Connections to an API server that is only busy, or whose etcd elects a leader, stay open: if they were closed, all
    clients would reconnect and list everything at once. TLS is passed through; only the health checks do not verify it.

    What comes from this machine itself, as its kubelet does (node_files.sh), goes to its own API server, and to the
    others while that one is not ready: its node must not count as lost then, and its pods with it.
    """
    servers = "\n".join(
        f"    server {machine.name} {machine.address}:{API_PORT} check" for machine in args.machines.control_planes
    )
    own_first = "\n".join(
        f"    server {machine.name} {machine.address}:{API_PORT} track control-planes/{machine.name}"
        f" {'on-marked-down shutdown-sessions' if machine == args.machine else 'backup'}"
        for machine in args.machines.control_planes
    )
    return f"""\
global
    maxconn 4096
    log stdout format raw local0 notice

defaults
    mode tcp
    log global
    retries 2
    option redispatch
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 2s
    option srvtcpka
    srvtcpka-idle 4s
    srvtcpka-intvl 2s
    srvtcpka-cnt 2

frontend kubernetes
    bind :{args.cluster.endpoint_port}
    use_backend own-first if {{ src 127.0.0.1 }}
    default_backend control-planes

backend control-planes
    balance leastconn
    option httpchk GET /readyz
    http-check expect status 200
    default-server check-ssl verify none inter 5s fastinter 1s downinter 1s fall 2 rise 1
    default-server observe layer4 error-limit 1 on-error fastinter
    default-server tcp-ut 8s
{servers}

backend own-first
    option allbackups
    default-server tcp-ut 8s
{own_first}"""


def keepalived_config(args: MachineArgs) -> str:
    """keepalived's configuration: the virtual IP moves only when another machine is healthier than its holder.

    All machines have the same base priority. A machine without HAProxy gives the address up; a running API server
    raises its machine's priority, so that SSH to the address also reaches a live control plane. Adverts are unicast,
    because many networks drop multicast. Adverts of machines that are not peers are ignored: such a machine may have
    left this cluster or joined another. endpoint.sh adds the control planes that are about to leave as peers.
    The checks are run by bash's own path: keepalived of Debian 13 runs none whose path has a link in it, as /bin is.
    """
    others = (machine for machine in args.machines.control_planes if machine != args.machine)
    peers = "\n".join(f"        {machine.address}" for machine in others)
    return f"""\
global_defs {{
    router_id {args.machine.name}
    enable_script_security
    script_user root
    vrrp_garp_master_refresh 30
}}

vrrp_script haproxy {{
    script "/usr/bin/bash -c ':</dev/tcp/127.0.0.1/{args.cluster.endpoint_port}'"
    interval 2
    timeout 1
    fall 2
    rise 1
}}

vrrp_script api_server {{
    script "/usr/bin/bash -c ':</dev/tcp/{args.machine.address}/{API_PORT}'"
    interval 2
    timeout 1
    fall 2
    rise 1
    weight 50
}}

vrrp_instance endpoint {{
    state BACKUP
    interface @INTERFACE@
    virtual_router_id {_router_id(args.endpoint)}
    priority 100
    advert_int 1
    unicast_src_ip {args.machine.address}
    check_unicast_src
    unicast_peer {{
{peers}
@LEAVING@    }}
    virtual_ipaddress {{
        {args.endpoint}/32
    }}
    track_script {{
        haproxy
        api_server
    }}
}}"""


def _router_id(endpoint: str) -> int:
    """The VRRP router ID, 1 to 255. Two clusters may get the same one: adverts are unicast, so that does no harm."""
    return int(endpoint.rpartition(".")[2]) or 255
