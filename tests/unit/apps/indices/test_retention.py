from datetime import date

from apps.indices.retention import expired_indices


def test_only_old_indices_of_results_go() -> None:
    names = [
        "results-objects-2026.11.15",
        "results-objects-2026.11.16",
        "results-objects-2026.11.17",
        "results-new-model-2025.01.01",
        "results-objects-2026.13.01",
        "results-objects",
        "logs-2020.01.01",
        ".internal",
    ]
    assert expired_indices(names, date(2026, 11, 23), 7) == [
        "results-new-model-2025.01.01",
        "results-objects-2026.11.15",
        "results-objects-2026.11.16",
    ]
