import json

from apps.spark_jobs.progress import CommonStart, common_start, later, offsets_of, span, starting_offsets


def test_a_group_goes_on_where_it_was() -> None:
    assert starting_offsets({0: (0, 10), 1: (5, 9)}, {0: 7, 1: 9}).offsets == {0: 7, 1: 9}


def test_a_partition_without_a_commit_starts_at_its_earliest_record() -> None:
    start = starting_offsets({0: (0, 10), 1: (5, 9)}, {0: 7})
    assert start.offsets == {0: 7, 1: 5}
    assert start.expired == 0


def test_what_waits_is_counted_over_all_partitions() -> None:
    assert starting_offsets({0: (0, 10), 1: (5, 9), 2: (4, 8)}, {0: 7, 2: 1}).waiting == 3 + 4 + 4


def test_records_that_retention_removed_are_counted() -> None:
    start = starting_offsets({0: (20, 30), 1: (8, 8)}, {0: 15, 1: 5})
    assert start.offsets == {0: 20, 1: 8}
    assert start.expired == 8


def test_a_commit_beyond_the_log_means_a_new_log() -> None:
    start = starting_offsets({0: (0, 3)}, {0: 1000})
    assert start.offsets == {0: 0}
    assert start.expired == 0


def test_a_commit_for_a_partition_that_is_gone_is_left_out() -> None:
    assert starting_offsets({0: (0, 3)}, {0: 1, 9: 5}).offsets == {0: 1}


def test_spark_gets_every_partition() -> None:
    start = CommonStart({"objects": starting_offsets({1: (0, 3), 0: (2, 4)}, {})})
    assert json.loads(start.to_spark("frames")) == {"frames": {"0": 2, "1": 0}}


LOG = {0: (0, 100), 1: (10, 50)}


def test_models_that_share_an_application_start_where_the_one_behind_is() -> None:
    start = common_start(LOG, {"objects": {0: 70, 1: 20}, "motion": {0: 60, 1: 30}})
    assert start.offsets == {0: 60, 1: 20}
    assert start.answered == {"objects": {0: 70}, "motion": {1: 30}}
    assert {model: found.waiting for model, found in start.models.items()} == {"objects": 60, "motion": 60}


def test_a_model_alone_has_nothing_to_leave_out() -> None:
    assert common_start(LOG, {"objects": {0: 70, 1: 20}}).answered == {"objects": {}}


def test_a_model_reaches_what_it_had_answered_before_only_once() -> None:
    answered = {0: 70}
    assert later({0: 65, 1: 25}, answered) == {0: 70, 1: 25}, "its group does not go back"
    assert later({0: 80, 1: 40}, answered) == {0: 80, 1: 40}


def test_what_expired_is_counted_for_the_model_that_was_behind() -> None:
    start = common_start(LOG, {"objects": {0: 70, 1: 20}, "motion": {0: 70, 1: 4}})
    assert start.offsets == {0: 70, 1: 10}
    assert {model: found.expired for model, found in start.models.items()} == {"objects": 0, "motion": 6}
    assert start.answered == {"objects": {1: 20}, "motion": {}}


def test_a_model_that_is_new_starts_where_the_others_are() -> None:
    start = common_start(LOG, {"objects": {0: 70, 1: 5}, "motion": {0: 60, 1: 30}, "faces": {}})
    assert start.models["faces"].offsets == start.offsets == {0: 60, 1: 10}
    assert (start.models["faces"].expired, start.models["faces"].waiting) == (0, 40 + 40)


def test_where_all_are_new_they_start_at_the_earliest_record() -> None:
    start = common_start(LOG, {"objects": {}, "motion": {}})
    assert start.offsets == {0: 0, 1: 10}
    assert start.answered == {"objects": {}, "motion": {}}


def test_a_new_log_is_read_from_its_beginning_by_all() -> None:
    start = common_start({0: (0, 3)}, {"objects": {0: 1000}, "motion": {0: 2}})
    assert start.offsets == {0: 0}
    assert start.answered == {"objects": {}, "motion": {0: 2}}


def test_offsets_are_read_from_sparks_progress() -> None:
    assert offsets_of({"frames": {"0": 4, "12": 7}}, "frames") == {0: 4, 12: 7}
    assert offsets_of(None, "frames") == {}


def test_a_span_counts_the_partitions_that_both_know() -> None:
    assert span({0: 3, 1: 5}, {0: 10, 1: 5, 2: 100}) == 7
