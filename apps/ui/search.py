"""The search: its parameters, its Elasticsearch query, and the JSON of its hits."""

import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from apps.messages import UNREADABLE, Detection, format_timestamp, hour_of, result_from_document
from apps.messages.names import IDENTITY_FIELD, NAME, NAME_PATTERN
from apps.ui.inference import inference_json

MAX_LABELS = 200
MAX_IDENTITY = 200
"""The most characters of an identity in a cursor; a result's identity has at most 102."""

LONGEST = range(-(2**63), 2**63)
"""The sort values of Elasticsearch: the first is that of a document without a time."""

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""The times that can be asked for."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

logger = logging.getLogger(__name__)


def _cursor(text: str) -> str:
    found = re.fullmatch(rf"(-?[0-9]{{1,19}}),[^\x00-\x1f\x7f-\x9f]{{0,{MAX_IDENTITY}}}", text)
    if found is None or int(found[1]) not in LONGEST:
        raise ValueError("must be the `next` of an earlier answer")
    return text


def _printable(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _representable(moment: datetime) -> datetime:
    if not EARLIEST <= moment <= LATEST:
        raise ValueError(f"must be between {EARLIEST.year} and {LATEST.year}")
    return moment.astimezone(UTC)


Text = Annotated[str, AfterValidator(_printable)]
Moment = Annotated[AwareDatetime, AfterValidator(_representable)]


class SearchParameters(BaseModel):
    """The query parameters of a search. All are optional; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: str | None = Field(default=None, pattern=f"^{NAME_PATTERN}$")
    model: str | None = Field(default=None, pattern=f"^{NAME_PATTERN}$")
    version: Text | None = Field(default=None, min_length=1, max_length=200)
    label: Text | None = Field(default=None, min_length=1, max_length=100)
    min_score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    inferred: bool | None = None
    """True: only results of frames that the model looked at; false: only of those that it did not."""
    since: Moment | None = None
    until: Moment | None = None
    size: int = Field(default=24, ge=1, le=200)
    after: Annotated[str, AfterValidator(_cursor)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


def only(cameras: Sequence[str]) -> list[dict[str, Any]]:
    """The filters that leave only the cameras that somebody may see, by patterns of their names."""
    if "*" in cameras:
        return []
    wanted = [{"wildcard": {"camera.name": {"value": pattern}}} for pattern in cameras]
    return [{"bool": {"should": wanted, "minimum_should_match": 1}} if wanted else {"match_none": {}}]


def build_query(parameters: SearchParameters, cameras: Sequence[str]) -> dict[str, Any]:
    """The body of the search request for one page, newest first, of the cameras that match one of the patterns."""
    names = {"camera.name": parameters.camera, "model.name": parameters.model, "model.version": parameters.version}
    filters = [*only(cameras), *({"term": {field: name}} for field, name in names.items() if name is not None)]
    time_range = {
        bound: format_timestamp(moment)
        for bound, moment in (("gte", parameters.since), ("lt", parameters.until))
        if moment is not None
    }
    if time_range:
        filters.append({"range": {"@timestamp": time_range}})
    # One detection must match both: a cat at 0.9 beside a dog at 0.3 is not a dog at 0.9.
    found: list[dict[str, Any]] = []
    if parameters.label is not None:
        found.append({"term": {"detections.label": parameters.label}})
    if parameters.min_score is not None:
        found.append({"range": {"detections.score": {"gte": parameters.min_score}}})
    if found:
        filters.append(
            {"nested": {"path": "detections", "ignore_unmapped": True, "query": {"bool": {"filter": found}}}}
        )
    if parameters.inferred is not None:
        # Results from before the gate lack the field: their frames were all looked at.
        skipped = {"exists": {"field": "inference.skipped"}}
        filters.append({"bool": {"must_not": [skipped]}} if parameters.inferred else skipped)
    body: dict[str, Any] = {
        "query": {"bool": {"filter": filters}},
        "size": parameters.size,
        "sort": [
            {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
            {IDENTITY_FIELD: {"order": "desc", "unmapped_type": "keyword"}},
        ],
        "track_total_hits": 10_000,
    }
    if parameters.after is not None:
        milliseconds, _, identity = parameters.after.partition(",")
        # A malformed document may lack an identity: it sorts after all others of its millisecond.
        body["search_after"] = [int(milliseconds), identity or None]
    return body


def build_choices(cameras: Sequence[str]) -> dict[str, Any]:
    """The body of the request for the names offered as filters: those of the cameras that match one of the patterns."""
    return {
        "size": 0,
        "query": {"bool": {"filter": only(cameras)}},
        "aggs": {
            "models": {"terms": {"field": "model.name", "size": MAX_LABELS}},
            "versions": {"terms": {"field": "model.version", "size": MAX_LABELS}},
            "cameras": {"terms": {"field": "camera.name", "size": 10 * MAX_LABELS}},
            "detections": {
                "nested": {"path": "detections"},
                "aggs": {"labels": {"terms": {"field": "detections.label", "size": MAX_LABELS}}},
            },
        },
    }


def parse_choices(answer: dict[str, Any]) -> dict[str, list[str]]:
    """The names from the answer to `build_choices`."""
    found = answer.get("aggregations", {})
    return {
        "cameras": _names(found.get("cameras")),
        "models": _names(found.get("models")),
        "versions": _names(found.get("versions")),
        "labels": _names(found.get("detections", {}).get("labels")),
    }


def parse_page(answer: dict[str, Any], parameters: SearchParameters, sees: Callable[[str], bool]) -> dict[str, Any]:
    """The JSON of one page, with the cursor of the next page if there may be one.

    A stored document that is not a result is left out and counted, so that it does not fail the search. So is one that
    names a camera that is not seen beside one that is, by which Elasticsearch has found it.
    `not_searched` is the number of parts of the index (shards) whose results are missing.
    """
    hits = answer["hits"]["hits"]
    total = answer["hits"]["total"]
    results = [read for hit in hits if (read := _parse_hit(hit, parameters, sees)) is not None]
    return {
        "total": total["value"],
        "total_is_exact": total["relation"] == "eq",
        "results": results,
        "unreadable": len(hits) - len(results),
        "not_searched": answer.get("_shards", {}).get("failed", 0),
        "next": _cursor_after(hits[-1]) if len(hits) == parameters.size else None,
    }


def _cursor_after(hit: dict[str, Any]) -> str:
    """The cursor behind a hit.

    A malformed document may have any text as its identity. It is cut before a control character and to MAX_IDENTITY, so
    that it fits in a URL: only malformed documents of the same millisecond sort between it and the whole text.
    """
    moment, identity = hit["sort"]
    moment = LONGEST.start if moment is None else moment
    plain = "" if identity is None else CONTROL.split(str(identity), maxsplit=1)[0][:MAX_IDENTITY]
    return f"{moment},{plain}"


def _parse_hit(hit: dict[str, Any], parameters: SearchParameters, sees: Callable[[str], bool]) -> dict[str, Any] | None:
    """A hit's JSON for the page, or None if the document is not a result."""
    try:
        result = result_from_document(hit.get("_source", {}))
        if not NAME.fullmatch(result.camera):
            raise ValueError(f"the camera name {result.camera!r} is not of the form {NAME_PATTERN}")
        if not sees(result.camera):
            raise ValueError(f"it was found by another camera than its own, {result.camera}")
    except (*UNREADABLE, TypeError) as malformed:
        logger.warning("%.200r in %s is left out of a search: %.200s", hit.get("_id"), hit.get("_index"), malformed)
        return None
    return {
        "id": result.id,
        "camera": result.camera,
        "sequence": result.sequence,
        "captured_at": format_timestamp(result.captured_at),
        "width": result.width,
        "height": result.height,
        "model": result.model,
        "model_version": result.model_version,
        "inference": inference_json(result),
        "image": f"/api/frames/{result.camera}/{hour_of(result.captured_at)}/{result.sequence}.jpg",
        "detections": [{**found.document, "matches": matches(found, parameters)} for found in result.detections],
    }


def matches(found: Detection, parameters: SearchParameters) -> bool:
    """Whether the detection matches the search."""
    return (parameters.label is None or found.label == parameters.label) and (
        parameters.min_score is None or found.score >= parameters.min_score
    )


def _names(terms: dict[str, Any] | None) -> list[str]:
    # Where an index has another mapping than Argus's, a name may be a number.
    return sorted(key for bucket in (terms or {}).get("buckets", ()) if isinstance(key := bucket["key"], str))
