import pytest
from pydantic import ValidationError

from apps.ui.search import SearchParameters, build_query, choices, matches, page


def test_every_filter_is_in_the_query() -> None:
    parameters = SearchParameters(
        camera="gate", model="objects", label="car", min_score=0.5, since="2026-11-23T23:00:00+01:00", after="5,a/1/b"
    )
    query = build_query(parameters)
    assert query["query"]["bool"]["filter"] == [
        {"term": {"camera.name": "gate"}},
        {"term": {"model.name": "objects"}},
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
    query = build_query(SearchParameters())
    assert query["query"] == {"bool": {"filter": []}}
    assert [next(iter(by)) for by in query["sort"]] == ["@timestamp", "event.id"]
    assert "search_after" not in query


@pytest.mark.parametrize(
    "bad",
    [{"min_score": 1.1}, {"camera": "a/b"}, {"size": 201}, {"after": "x"}, {"since": "2026-11-23T22:00"}, {"no": "1"}],
)
def test_bad_parameters_are_refused_by_name(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        SearchParameters(**bad)  # type: ignore[arg-type]
    assert refused.value.errors()[0]["loc"] == (next(iter(bad)),)


def hit(sequence: int) -> dict[str, object]:
    return {
        "_source": {
            "@timestamp": "2026-11-23T22:14:55.123Z",
            "event": {"id": f"gate/{sequence}/objects"},
            "camera": {"name": "gate"},
            "frame": {"sequence": sequence, "width": 640, "height": 360},
            "model": {"name": "objects"},
            "detections": [{"label": "car", "score": 0.9, "box": [1, 2, 3, 4]}],
        },
        "sort": [1764, f"gate/{sequence}/objects"],
    }


def test_a_full_page_names_the_next() -> None:
    answer = {"hits": {"total": {"value": 10_000, "relation": "gte"}, "hits": [hit(2), hit(1)]}}
    full = page(answer, SearchParameters(size=2, label="dog"))
    assert full["next"] == "1764,gate/1/objects"
    assert not full["total_is_exact"]
    assert full["results"][0]["image"] == "/api/frames/gate/2026-11-23T22/2.jpg"
    assert full["results"][0]["detections"][0]["matches"] is False
    assert page(answer, SearchParameters(size=3))["next"] is None


def test_one_detection_must_fit_both() -> None:
    parameters = SearchParameters(label="car", min_score=0.5)
    assert matches({"label": "car", "score": 0.5}, parameters)
    assert not matches({"label": "car", "score": 0.4}, parameters)
    assert not matches({"label": "dog", "score": 0.9}, parameters)


def test_no_index_means_no_choices() -> None:
    assert choices({"hits": {}}) == {"cameras": [], "models": [], "labels": []}
