"""What a stack keeps for life: keys whose change would lose data, or break the cluster that runs.

Their values are an output of the stack, so that the next preview compares them without a machine or a cluster. An
update writes its outputs as soon as all of them are known, which may be long before its end.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from components.config.sections import (
    NODES_GROW_BY,
    SEARCH_TRANSPORTS,
    TRANSPORTS,
    TRANSPORTS_OF_CLIENTS,
    Settings,
)

_Step = TypeVar("_Step")

_COPIES: Final = 3
"""Kafka keeps this many copies of a record where there are as many brokers."""


def of(settings: Settings) -> dict[str, Any]:
    """The values that the stack is to keep, by their keys."""
    cluster = settings.cluster
    return {
        "cluster.endpoint": str(cluster.endpoint),
        "cluster.endpointPort": cluster.endpoint_port,
        "cluster.podNetwork": str(cluster.pod_network),
        "cluster.serviceNetwork": str(cluster.service_network),
        "cluster.schedulePodsOnControlPlanes": cluster.schedule_pods_on_control_planes,
        "storage.className": settings.storage.class_name or "",
        "zookeeper.replicas": settings.zookeeper.replicas,
        "kafka.replicas": settings.kafka.replicas,
        "kafka.transport": settings.kafka.transport,
        "zookeeper.transport": settings.zookeeper_transport,
        "elasticsearch.replicas": settings.elasticsearch.replicas,
        "elasticsearch.transport": settings.elasticsearch.transport,
        "elasticsearch.nodeTransport": settings.elasticsearch.between_nodes,
        **{f"{name}.volumeGiB": section.volume_gib for name, section in settings if hasattr(section, "volume_gib")},
    }


def refusals(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Why the values cannot change as the stack asks, each with its key and remedy.

    `earlier` is what the last update recorded; it is empty for a new stack. A key that it lacks, as in a stack of
    an earlier version, is free, unless that version is known to have had one value only.
    """
    changes = {key: (earlier.get(key, _ONCE.get(key, new) if earlier else new), new) for key, new in now.items()}
    reasons: dict[str, str] = {}
    for key, (old, new) in changes.items():
        judge = _volume if key.endswith(".volumeGiB") else _JUDGES[key]
        if old != new and (reason := judge(old, new, now)):
            back = f"set {_text(old)} again" if old != "" else "remove the key again"
            reasons[key] = f"argus:{key}: {reason}; {back}, or `pulumi destroy` first"
    said = {key for key, other in _FOLLOWS.items() if other in reasons and changes[key] == changes[other]}
    return [text for key, text in reasons.items() if key not in said]


def goes_in_steps(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a value changes that counts only once every pod has it: until then the next step is refused."""
    return bool(earlier) and any(earlier.get(key, _ONCE.get(key, now[key])) != now[key] for key in _COUNTED_LATE)


_STEPWISE: Final = (
    "kafka.transport",
    "zookeeper.transport",
    "elasticsearch.transport",
    "elasticsearch.nodeTransport",
)

_COUNTED_LATE: Final = (*_STEPWISE, "elasticsearch.replicas")
"""So many nodes more as there are can be reached, so those that never became ready must not count."""

_ONCE: Final[Mapping[str, Any]] = dict.fromkeys(_STEPWISE, "plain")
"""The values of keys that earlier versions did not have."""

_FOLLOWS: Final = {
    "zookeeper.transport": "kafka.transport",
    "elasticsearch.nodeTransport": "elasticsearch.transport",
}
"""The keys that are another's where they are unset: where the same change is refused there, that says enough."""

_Judge = Callable[[Any, Any, Mapping[str, Any]], str | None]
"""Why a value cannot change to another one; None where it can. The last argument is all that the stack asks for."""


def _address(old: Any, new: Any, _: Mapping[str, Any]) -> str:
    return (
        f"the cluster is reached at {_text(old)}, which its certificates, nodes and pods know, and does not move to "
        f"{_text(new)}"
    )


def _network(old: Any, new: Any, _: Mapping[str, Any]) -> str:
    return f"the cluster's is {old}, and nodes, pods and services do not change to addresses of {new} while it lives"


def _control_planes(old: Any, new: Any, now: Mapping[str, Any]) -> str | None:
    if new or now["storage.className"]:
        return None
    return "control planes hold volumes of the services, which would be deleted with their data"


def _storage(old: Any, new: Any, _: Mapping[str, Any]) -> str:
    where = f"volumes of the class {old}" if old else "Argus's own volumes"
    return f"the services' data are on {where}, and do not move to {f'the class {new}' if new else 'those of Argus'}"


def _ensemble(old: Any, new: Any, _: Mapping[str, Any]) -> str:
    return (
        f"the ensemble has {_text(old)} members; with {_text(new)}, members without data could become the majority, "
        "and Kafka would lose its topics"
    )


def _brokers(old: Any, new: Any, _: Mapping[str, Any]) -> str | None:
    if new < old:
        return f"there are {_text(old)} brokers, and what the last of them keep would be out of reach"
    if min(old, _COPIES) != min(new, _COPIES):
        return (
            f"the topics have {_text(min(old, _COPIES))} copies, and keep so many; with {_text(new)} brokers they "
            "would need more to be written to"
        )
    return None


def _transport(old: Any, new: Any, _: Mapping[str, Any]) -> str | None:
    reason = _steps("brokers and clients", TRANSPORTS, old, new)
    return f"{reason} (unset, this key is tls)" if reason else None


def _ensemble_transport(old: Any, new: Any, _: Mapping[str, Any]) -> str | None:
    reason = _steps("ZooKeeper's members and the brokers", TRANSPORTS, old, new)
    return f"{reason} (unset, this key is what kafka.transport is)" if reason else None


def _search_transport(old: Any, new: Any, _: Mapping[str, Any]) -> str | None:
    reason = _steps("Elasticsearch's nodes and clients", SEARCH_TRANSPORTS, old, new)
    return f"{reason} (unset, this key is tls)" if reason else None


def _node_transport(old: Any, new: Any, now: Mapping[str, Any]) -> str | None:
    if now["elasticsearch.replicas"] == 1:
        return None
    reason = _steps("Elasticsearch's nodes", TRANSPORTS, old, new)
    return f"{reason} (unset, this key is what elasticsearch.transport is)" if reason else None


def next_step(steps: Sequence[_Step], old: _Step, new: _Step) -> _Step:
    """The step that comes after `old` on the way to `new`, which is another one."""
    was, wanted = steps.index(old), steps.index(new)
    return steps[was + (1 if wanted > was else -1)]


def _steps(who: str, steps: Sequence[str], old: Any, new: Any) -> str | None:
    step = next_step(steps, old, new)
    if step == new:
        return None
    return (
        f"{who} change one after the other, so a running stack goes from {old} to {step} first, with an update of its "
        "own"
    )


def _nodes(old: Any, new: Any, now: Mapping[str, Any]) -> str | None:
    if new < old:
        return f"there are {_text(old)} nodes, and what the last of them keep would be out of reach"
    if old < _COPIES:
        return "a node more could form a cluster of its own, without the results of the first"
    most = old * NODES_GROW_BY
    if new > most and now["elasticsearch.nodeTransport"] in TRANSPORTS_OF_CLIENTS:
        return f"there are {_text(old)} nodes, which can reach {_text(most)}; so go to {_text(most)} first"
    return None


def _volume(old: Any, new: Any, now: Mapping[str, Any]) -> str | None:
    if now["storage.className"]:
        return f"the services' volumes of the class {now['storage.className']} keep the size that they were made with"
    return "a volume grows, but does not shrink" if new < old else None


_JUDGES: Final[Mapping[str, _Judge]] = {
    "cluster.endpoint": _address,
    "cluster.endpointPort": _address,
    "cluster.podNetwork": _network,
    "cluster.serviceNetwork": _network,
    "cluster.schedulePodsOnControlPlanes": _control_planes,
    "storage.className": _storage,
    "zookeeper.replicas": _ensemble,
    "kafka.replicas": _brokers,
    "kafka.transport": _transport,
    "zookeeper.transport": _ensemble_transport,
    "elasticsearch.replicas": _nodes,
    "elasticsearch.transport": _search_transport,
    "elasticsearch.nodeTransport": _node_transport,
}


def _text(value: Any) -> str:
    """A value as the stack's file has it; numbers come back from the state as floats."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, int | float) else str(value)
