import json

from apps.spark_jobs.progress import offsets_of, span, starting_offsets


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
    start = starting_offsets({1: (0, 3), 0: (2, 4)}, {})
    assert json.loads(start.to_spark("frames")) == {"frames": {"0": 2, "1": 0}}


def test_offsets_are_read_from_sparks_progress() -> None:
    assert offsets_of({"frames": {"0": 4, "12": 7}}, "frames") == {0: 4, 12: 7}
    assert offsets_of(None, "frames") == {}


def test_a_span_counts_the_partitions_that_both_know() -> None:
    assert span({0: 3, 1: 5}, {0: 10, 1: 5, 2: 100}) == 7
