from typing import Any

import pytest
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from apps.messages import Detection
from apps.ui.search import SearchParameters, build_choices, build_query, matches, parse_choices, parse_page
from tests.accounts import everything
from tests.unit.apps.mutants import mutants

EVERYTHING = ("*",)


def test_every_filter_is_in_the_query() -> None:
    parameters = SearchParameters(
        camera="gate",
        model="objects",
        version="nanodet sharp",
        label="car",
        min_score=0.5,
        since="2026-11-23T23:00:00+01:00",
        after="5,a/1/b",
    )
    query = build_query(parameters, EVERYTHING)
    assert query["query"]["bool"]["filter"] == [
        {"term": {"camera.name": "gate"}},
        {"term": {"model.name": "objects"}},
        {"term": {"model.version": "nanodet sharp"}},
        {"range": {"@timestamp": {"gte": "2026-11-23T22:00:00.000Z"}}},
        {
            "nested": {
                "path": "detections",
                "ignore_unmapped": True,
                "query": {
                    "bool": {
                        "filter": [
                            {"term": {"detections.label": "car"}},
                            {"range": {"detections.score": {"gte": 0.5}}},
                        ]
                    }
                },
            }
        },
    ]
    assert query["search_after"] == [5, "a/1/b"]


def test_without_filters_everything_is_asked_newest_first() -> None:
    query = build_query(SearchParameters(), EVERYTHING)
    assert query["query"] == {"bool": {"filter": []}}
    assert [next(iter(by)) for by in query["sort"]] == ["@timestamp", "event.id"]
    assert "search_after" not in query


@pytest.mark.parametrize(
    "bad",
    [
        {"min_score": 1.1},
        {"camera": "a/b"},
        {"version": ""},
        {"size": 201},
        {"after": "x"},
        {"after": "x,a/1/b"},
        {"since": "2026-11-23T22:00"},
        {"inferred": "maybe"},
        {"no": "1"},
        {"min_score": "nan"},
        {"min_score": "-inf"},
        {"size": "9" * 5000},
        {"version": "a\x00b"},
        {"label": "line\nbreak"},
        {"label": "\x7f"},
        {"label": "x" * 100_000},
        {"camera": "gate\n"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "1969-12-31T23:59:59Z"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"until": "99999-01-01T00:00:00Z"},
        {"until": "nan"},
        {"after": "9223372036854775808,a/1/b"},
        {"after": "-9223372036854775809,a/1/b"},
        {"after": "5,a\x00b"},
        {"after": "5," + "x" * 201},
        {"after": "\u0665,x"},
    ],
)
def test_bad_parameters_are_refused_by_name(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        SearchParameters(**bad)  # type: ignore[arg-type]
    assert refused.value.errors()[0]["loc"] == (next(iter(bad)),)


def hit(sequence: int, **changes: object) -> dict[str, Any]:
    source = {
        "@timestamp": "2026-11-23T22:14:55.123Z",
        "event": {"id": f"gate/{sequence}/objects", "created": "2026-11-23T22:14:56.000Z"},
        "camera": {"name": "gate"},
        "frame": {"sequence": sequence, "width": 640, "height": 360},
        "model": {"name": "objects", "version": "nanodet sharp"},
        "detections": [{"label": "car", "score": 0.9, "box": [1, 2, 3, 4]}],
    }
    return {"_source": source | changes, "sort": [1764, f"gate/{sequence}/objects"]}


def found(*hits: dict[str, Any]) -> dict[str, Any]:
    return {"hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": list(hits)}}


def test_a_full_page_names_the_next() -> None:
    answer = {"hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": [hit(2), hit(1)]}}
    full = parse_page(answer, SearchParameters(size=2, label="dog"), everything)
    assert full["next"] == "1764,gate/1/objects"
    assert not full["total_is_exact"]
    assert full["results"][0]["image"] == "/api/frames/gate/2026-11-23T22/2.jpg"
    assert full["results"][0]["detections"][0]["matches"] is False
    assert parse_page(answer, SearchParameters(size=3), everything)["next"] is None


@pytest.mark.parametrize(
    ("inferred", "filters"),
    [
        (None, []),
        ("true", [{"bool": {"must_not": [{"exists": {"field": "inference.skipped"}}]}}]),
        ("false", [{"exists": {"field": "inference.skipped"}}]),
    ],
)
def test_results_are_found_by_whether_the_model_looked(inferred: str | None, filters: list[dict[str, Any]]) -> None:
    query = build_query(SearchParameters(inferred=inferred), EVERYTHING)  # type: ignore[arg-type]
    assert query["query"]["bool"]["filter"] == filters


def test_a_hit_says_in_words_why_the_model_did_not_look() -> None:
    inference = {"skipped": "still", "carried_from": 5}
    carried, looked = parse_page(found(hit(7, inference=inference), hit(5)), SearchParameters(), everything)["results"]
    assert carried["inference"] == {**inference, "text": "as in frame 5: nothing moved"}
    assert looked["inference"] is None


def test_a_hit_says_what_its_model_gave_and_the_models_version() -> None:
    parts = {"polygon": [[1, 2], [3, 2], [3, 4]], "keypoints": [[2, 3, 0.4]], "angle": 0.5}
    detection = {"label": "car", "score": 0.9, "box": [1, 2, 3, 4], **parts}
    shown = parse_page(found(hit(1, detections=[detection])), SearchParameters(label="car"), everything)
    assert shown["unreadable"] == 0
    assert shown["results"][0]["model_version"] == "nanodet sharp"
    assert shown["results"][0]["detections"] == [{**detection, "matches": True}]


@pytest.mark.parametrize(
    "changes",
    [
        {"detections": [{"label": "car", "score": 0.9, "box": [1, 2, 3, 4], "polygon": "unknown"}]},
        {"detections": [{"label": "car", "score": 0.9}]},
        {"detections": {"label": "car", "score": 0.9, "box": [1, 2, 3, 4]}},
        {"detections": None},
        {"model": {"name": "objects"}},
        {"camera": {"name": "../gate"}},
        {"@timestamp": 1764},
        {"@timestamp": "2026-11-23"},
        {"frame": "gate/2"},
        {"inference": "still"},
    ],
)
def test_a_document_that_is_no_result_hides_no_other(changes: dict[str, Any]) -> None:
    shown = parse_page(found(hit(3), hit(2, **changes), hit(1)), SearchParameters(), everything)
    assert [result["sequence"] for result in shown["results"]] == [3, 1]
    assert shown["unreadable"] == 1


def test_no_document_whatever_it_holds_hides_another_or_cannot_be_answered() -> None:
    detection = {"label": "car", "score": 0.9, "box": [1, 2, 3, 4], "polygon": [[1, 2], [3, 2], [3, 4]]}
    more = {"detections": [detection | {"keypoints": [[2, 3, 0.4]], "angle": 0.5}], "inference": {"skipped": "still"}}
    tried = 0
    for source in mutants(hit(2, **more)["_source"]):
        tried += 1
        odd = {"_source": source, "_id": source, "sort": [1764, "x"]}
        shown = parse_page(found(hit(3), odd, hit(1)), SearchParameters(), everything)
        assert [shown["results"][at]["sequence"] for at in (0, -1)] == [3, 1]
        assert len(shown["results"]) + shown["unreadable"] == 3
        assert JSONResponse(shown).body
    assert tried > 500


@pytest.mark.parametrize(
    ("identity", "cut"),
    [("x" * 30_000, "x" * 200), ("gate\n/5", "gate"), ("\x00", None), ("gate,5,objects", "gate,5,objects")],
)
def test_the_page_behind_a_document_with_any_identity_can_be_asked_for(identity: str, cut: str | None) -> None:
    shown = parse_page(found({"_source": {}, "sort": [1764, identity]}), SearchParameters(size=1), everything)
    assert build_query(SearchParameters(after=shown["next"]), EVERYTHING)["search_after"] == [1764, cut]


@pytest.mark.parametrize("moment", [None, -(2**63), 2**63 - 1])
def test_the_page_behind_a_document_with_any_time_can_be_asked_for(moment: int | None) -> None:
    shown = parse_page(found({"_source": {}, "sort": [moment, "x"]}), SearchParameters(size=1), everything)
    after = build_query(SearchParameters(after=shown["next"]), EVERYTHING)["search_after"]
    assert after == [-(2**63) if moment is None else moment, "x"]


def test_a_name_that_is_no_text_hides_no_other() -> None:
    buckets = [{"key": key} for key in ("gate", 7, 1.5, True, None, "lobby")]
    assert parse_choices({"aggregations": {"cameras": {"buckets": buckets}}})["cameras"] == ["gate", "lobby"]


def test_a_page_goes_on_behind_what_it_cannot_read() -> None:
    last = {"_source": {}, "sort": [-5, None]}
    shown = parse_page(found(hit(3), last, {"sort": [-5, None]}), SearchParameters(size=3), everything)
    assert shown["unreadable"] == 2
    assert build_query(SearchParameters(after=shown["next"]), EVERYTHING)["search_after"] == [-5, None]


def test_one_detection_must_fit_both() -> None:
    parameters = SearchParameters(label="car", min_score=0.5)
    box = (1.0, 2.0, 3.0, 4.0)
    assert matches(Detection(label="car", score=0.5, box=box), parameters)
    assert not matches(Detection(label="car", score=0.4, box=box), parameters)
    assert not matches(Detection(label="dog", score=0.9, box=box), parameters)


def test_what_could_not_be_searched_is_said() -> None:
    assert parse_page(found(hit(1)), SearchParameters(), everything)["not_searched"] == 0
    partly = found(hit(1)) | {"_shards": {"total": 5, "successful": 3, "skipped": 0, "failed": 2}}
    assert parse_page(partly, SearchParameters(), everything)["not_searched"] == 2


def test_no_index_means_no_choices() -> None:
    assert parse_choices({"hits": {}}) == {"cameras": [], "models": [], "versions": [], "labels": []}


def test_only_the_cameras_that_somebody_may_see_are_searched_and_counted() -> None:
    wanted = {
        "bool": {
            "should": [
                {"wildcard": {"camera.name": {"value": "gate"}}},
                {"wildcard": {"camera.name": {"value": "yard-*"}}},
            ],
            "minimum_should_match": 1,
        }
    }
    query = build_query(SearchParameters(camera="gate"), ("gate", "yard-*"))
    assert query["query"]["bool"]["filter"] == [wanted, {"term": {"camera.name": "gate"}}]
    assert build_choices(("gate", "yard-*"))["query"] == {"bool": {"filter": [wanted]}}
    assert build_choices(EVERYTHING)["query"] == {"bool": {"filter": []}}
    assert build_query(SearchParameters(), ())["query"]["bool"]["filter"] == [{"match_none": {}}]


def test_a_document_that_names_a_second_camera_shows_only_to_who_sees_its_own() -> None:
    # Elasticsearch finds it by either of `camera.name` and `camera: {name}`.
    both = hit(1, **{"camera.name": "yard-1"})
    shown = parse_page(found(both, hit(2)), SearchParameters(), {"yard-1"}.__contains__)
    assert (shown["results"], shown["unreadable"]) == ([], 2)
    assert len(parse_page(found(both), SearchParameters(), everything)["results"]) == 1
