import random

from apps.producer.ledger import Account, Ledger


def test_nothing_is_claimed_before_the_first_answer() -> None:
    ledger = Ledger(100)
    assert ledger.account() == Account(first=None, last=None, acked=0, failed=(), queued=0)
    assert [ledger.give(), ledger.give()] == [100, 101]
    assert ledger.account() == Account(first=None, last=None, acked=0, failed=(), queued=2)


def test_answers_in_any_order_settle_a_contiguous_range() -> None:
    ledger = Ledger(100)
    given = [ledger.give() for _ in range(50)]
    random.Random(3).shuffle(given)
    for count, sequence in enumerate(given, start=1):
        ledger.settle(sequence, delivered=True)
        account = ledger.account()
        assert (account.acked, account.queued) == (count, 50 - count)
        settled = set(given[:count])
        if account.first is not None and account.last is not None:
            assert set(range(account.first, account.last + 1)) <= settled
    assert ledger.account() == Account(first=100, last=149, acked=50, failed=(), queued=0)


def test_a_failed_frame_is_named() -> None:
    ledger = Ledger(0)
    for _ in range(4):
        ledger.give()
    for sequence in (3, 0, 2, 1):
        ledger.settle(sequence, delivered=sequence not in {1, 3})
    assert ledger.account() == Account(first=0, last=3, acked=2, failed=(1, 3), queued=0)


def test_a_frame_that_was_not_taken_leaves_no_gap() -> None:
    ledger = Ledger(5)
    ledger.give()
    ledger.take_back()
    assert ledger.give() == 5
