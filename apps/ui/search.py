"""The search: its parameters, the Elasticsearch query that they make, and what a hit becomes."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from apps.messages import format_timestamp, hour_of, parse_timestamp

INDICES = "results-*"
MAX_LABELS = 200
NAME_PATTERN = r"^[a-z0-9-]{1,63}$"


def _zoned(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("must have a time zone, such as 2026-11-23T22:00:00Z")
    return moment


def _cursor(text: str) -> str:
    milliseconds, _, identity = text.partition(",")
    if not milliseconds.isdecimal() or not identity:
        raise ValueError("must be the `next` of an earlier answer")
    return text


Moment = Annotated[datetime, AfterValidator(_zoned)]


class SearchParameters(BaseModel):
    """The query string of a search. Every one is optional; an unknown one is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: str | None = Field(default=None, pattern=NAME_PATTERN)
    model: str | None = Field(default=None, pattern=NAME_PATTERN)
    label: str | None = Field(default=None, min_length=1, max_length=100)
    min_score: float | None = Field(default=None, ge=0, le=1)
    since: Moment | None = None
    until: Moment | None = None
    size: int = Field(default=24, ge=1, le=200)
    after: Annotated[str, AfterValidator(_cursor)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


def build_query(parameters: SearchParameters) -> dict[str, Any]:
    """The body of the search request: newest first, one page."""
    filters: list[dict[str, Any]] = []
    if parameters.camera is not None:
        filters.append({"term": {"camera.name": parameters.camera}})
    if parameters.model is not None:
        filters.append({"term": {"model.name": parameters.model}})
    span = {
        bound: format_timestamp(moment)
        for bound, moment in (("gte", parameters.since), ("lt", parameters.until))
        if moment is not None
    }
    if span:
        filters.append({"range": {"@timestamp": span}})
    # One detection must fit both: a cat of 0.9 beside a dog of 0.3 is no dog of 0.9.
    found: list[dict[str, Any]] = []
    if parameters.label is not None:
        found.append({"term": {"detections.label": parameters.label}})
    if parameters.min_score is not None:
        found.append({"range": {"detections.score": {"gte": parameters.min_score}}})
    if found:
        filters.append(
            {"nested": {"path": "detections", "ignore_unmapped": True, "query": {"bool": {"filter": found}}}}
        )
    body: dict[str, Any] = {
        "query": {"bool": {"filter": filters}},
        "size": parameters.size,
        "sort": [
            {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
            {"event.id": {"order": "desc", "unmapped_type": "keyword"}},
        ],
        "track_total_hits": 10_000,
    }
    if parameters.after is not None:
        milliseconds, _, identity = parameters.after.partition(",")
        body["search_after"] = [int(milliseconds), identity]
    return body


def build_choices() -> dict[str, Any]:
    """The body of the request for the labels and models that there are."""
    return {
        "size": 0,
        "aggs": {
            "models": {"terms": {"field": "model.name", "size": MAX_LABELS}},
            "cameras": {"terms": {"field": "camera.name", "size": 10 * MAX_LABELS}},
            "detections": {
                "nested": {"path": "detections"},
                "aggs": {"labels": {"terms": {"field": "detections.label", "size": MAX_LABELS}}},
            },
        },
    }


def choices(answer: dict[str, Any]) -> dict[str, list[str]]:
    """The names in the answer to `build_choices`."""
    found = answer.get("aggregations", {})
    return {
        "cameras": _keys(found.get("cameras")),
        "models": _keys(found.get("models")),
        "labels": _keys(found.get("detections", {}).get("labels")),
    }


def page(answer: dict[str, Any], parameters: SearchParameters) -> dict[str, Any]:
    """The JSON of one page, with the cursor of the next one where there may be one."""
    hits = answer["hits"]["hits"]
    total = answer["hits"]["total"]
    return {
        "total": total["value"],
        "total_is_exact": total["relation"] == "eq",
        "results": [_hit(hit["_source"], parameters) for hit in hits],
        "next": ",".join(str(value) for value in hits[-1]["sort"]) if len(hits) == parameters.size else None,
    }


def _hit(source: dict[str, Any], parameters: SearchParameters) -> dict[str, Any]:
    captured_at = parse_timestamp(source["@timestamp"])
    camera, frame = source["camera"]["name"], source["frame"]
    return {
        "id": source["event"]["id"],
        "camera": camera,
        "sequence": frame["sequence"],
        "captured_at": source["@timestamp"],
        "width": frame["width"],
        "height": frame["height"],
        "model": source["model"]["name"],
        "image": f"/api/frames/{camera}/{hour_of(captured_at)}/{frame['sequence']}.jpg",
        "detections": [{**found, "matches": matches(found, parameters)} for found in source["detections"]],
    }


def matches(found: dict[str, Any], parameters: SearchParameters) -> bool:
    """Whether this detection is one that the search asked for."""
    return (parameters.label is None or found["label"] == parameters.label) and (
        parameters.min_score is None or found["score"] >= parameters.min_score
    )


def _keys(terms: dict[str, Any] | None) -> list[str]:
    return sorted(bucket["key"] for bucket in (terms or {}).get("buckets", ()))
