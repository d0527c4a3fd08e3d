"""What the page says of a result whose frame the model did not look at."""

from typing import Any

from apps.messages import STILL, Result, Skipped


def inference_json(result: Result) -> dict[str, Any] | None:
    """The JSON of why the model did not look at the frame, with `text` for readers; None if it did."""
    skipped = result.skipped
    return None if skipped is None else {**skipped.document, "text": _text(skipped)}


def _text(skipped: Skipped) -> str:
    reason = "nothing moved" if skipped.reason == STILL else f"not inferred: {skipped.reason}"
    return reason if skipped.carried_from is None else f"as in frame {skipped.carried_from}: {reason}"
