"""What each client of Elasticsearch may do there: the table by which the proxy before each node judges (ADR 48).

It belongs to the table of connections (network_policies.py): who may connect to a node is in both, and nobody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from apps.messages.names import (
    AUDIT_INDICES,
    COMPARISON,
    FILEBEAT,
    NAME_PATTERN,
    REFUSED_INDICES,
    RESULT_INDICES,
    audit_index,
    refused_index,
    results_index,
)

TEMPLATE: Final = "elasticsearch-template"
RETENTION: Final = "elasticsearch-retention"
UI: Final = "ui"
AUDIT: Final = "argus-audit"
"""The names in the certificates of clients that have no name elsewhere; each is that of a kind of pods in the table of
connections."""

_MODEL, _DAY = "NAME", "DAY"
RESULTS: Final = results_index(_MODEL, _DAY)
REFUSED: Final = refused_index(_DAY)
AUDITED: Final = audit_index(_DAY)
"""One index of a kind: `NAME` stands for a model, `DAY` for a day as in `2026.11.23`."""

_STANDS_FOR: Final[Mapping[str, str]] = {_MODEL: NAME_PATTERN, _DAY: r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}"}

_PARAMETERS_OF_BEATS: Final = ("filter_path", "human", "pretty")
_PARAMETERS_OF_SEARCHES: Final = ("allow_partial_search_results", "filter_path", "ignore_unavailable", "scroll")


@dataclass(frozen=True)
class Grant:
    """A client may make this request."""

    client: str
    """The name in its certificate."""
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """As it is sent, with RESULTS, REFUSED and AUDITED for one index."""
    parameters: Sequence[str] = ()
    """The names of the parameters that it may have in its URL."""


@dataclass(frozen=True)
class BulkGrant:
    """A client may do this with documents of these indices, by `POST /_bulk`."""

    client: str
    operation: Literal["create", "delete"]
    """`create` refuses a document that is there already, so it changes none."""
    index: str


SEARCH: Final = "/_search"
BULK: Final = "/_bulk"

GRANTS: Final[Sequence[Grant]] = (
    *(
        grant
        for client in (FILEBEAT, AUDIT)
        for grant in (
            # Beats asks for version and licence when it connects.
            Grant(client, "GET", "/", _PARAMETERS_OF_BEATS),
            Grant(client, "GET", "/_license", _PARAMETERS_OF_BEATS),
            Grant(client, "POST", BULK, _PARAMETERS_OF_BEATS),
        )
    ),
    Grant(COMPARISON, "POST", f"/{RESULT_INDICES},{REFUSED_INDICES}/_refresh"),
    Grant(COMPARISON, "POST", f"/{RESULT_INDICES}{SEARCH}", _PARAMETERS_OF_SEARCHES),
    Grant(COMPARISON, "POST", f"/{REFUSED_INDICES}{SEARCH}", _PARAMETERS_OF_SEARCHES),
    Grant(COMPARISON, "POST", "/_search/scroll", ("filter_path",)),
    Grant(COMPARISON, "DELETE", "/_search/scroll"),
    Grant(COMPARISON, "PUT", f"/{REFUSED}"),
    Grant(COMPARISON, "POST", BULK, ("timeout",)),
    Grant(UI, "POST", f"/{RESULT_INDICES}{SEARCH}", ("filter_path",)),
    Grant(TEMPLATE, "PUT", "/_index_template/results"),
    Grant(TEMPLATE, "PUT", "/_index_template/audit"),
    Grant(RETENTION, "GET", "/_cat/health", ("format", "h")),
    Grant(RETENTION, "GET", f"/_cat/indices/{RESULT_INDICES},{REFUSED_INDICES}", ("format", "h")),
    Grant(RETENTION, "GET", f"/_cat/indices/{AUDIT_INDICES}", ("format", "h")),
    *(
        grant
        for index in (RESULTS, REFUSED, AUDITED)
        for grant in (
            Grant(RETENTION, "GET", f"/{index}/_mapping"),
            Grant(RETENTION, "PUT", f"/{index}/_mapping"),
            Grant(RETENTION, "DELETE", f"/{index}"),
        )
    ),
)

BULK_GRANTS: Final[Sequence[BulkGrant]] = (
    BulkGrant(FILEBEAT, "create", RESULTS),
    BulkGrant(AUDIT, "create", AUDITED),
    BulkGrant(COMPARISON, "create", RESULTS),
    BulkGrant(COMPARISON, "create", REFUSED),
    BulkGrant(COMPARISON, "delete", REFUSED),
)

CLIENTS: Final[Sequence[str]] = tuple(dict.fromkeys(grant.client for grant in GRANTS))
"""The names of all clients."""


def grants_file() -> str:
    """The table as the proxy reads it (elasticsearch_proxy.js): for each client its requests, and by operation the
    indices of a bulk request, as regular expressions for the whole of a path or name."""
    table: dict[str, dict[str, Any]] = {client: {"requests": [], "bulk": {}} for client in CLIENTS}
    for grant in GRANTS:
        request = {"method": grant.method, "path": pattern(grant.path), "parameters": list(grant.parameters)}
        table[grant.client]["requests"].append(request)
    for bulk in BULK_GRANTS:
        table[bulk.client]["bulk"].setdefault(bulk.operation, []).append(pattern(bulk.index))
    return json.dumps(table, indent=1) + "\n"


def pattern(name: str) -> str:
    """A regular expression, of JavaScript too, for a path or the name of an index."""
    parts = re.split("|".join(_STANDS_FOR), name)
    stand_ins = [_STANDS_FOR[each] for each in re.findall("|".join(_STANDS_FOR), name)]
    return "".join(f"{re.escape(part)}{stand_in}" for part, stand_in in zip(parts, [*stand_ins, ""], strict=True))


def said_of(client: str) -> Iterator[tuple[str, str]]:
    """What a client may do, in words: a method and the paths, or an operation of `_bulk` and the indices."""
    yield from _together((grant.method, grant.path) for grant in GRANTS if grant.client == client)
    bulk = ((f"{BULK} {each.operation}", each.index) for each in BULK_GRANTS if each.client == client)
    yield from _together(bulk)


def _together(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    by_verb: dict[str, list[str]] = {}
    for verb, what in found:
        by_verb.setdefault(verb, []).append(what)
    yield from ((verb, ", ".join(f"`{each}`" for each in whats)) for verb, whats in by_verb.items())
