"""Finished windows as documents of the table, and the point behind them to go on from."""

from __future__ import annotations

import json
from collections.abc import Iterable

from scriba.domain.resume import ResumePoint
from scriba.domain.transcript import Segment
from scriba.jobs.codec import (
    dumps,
    segment_from_json,
    segment_to_json,
    suppressed_from_json,
    suppressed_to_json,
)


def window_document(before: ResumePoint, after: ResumePoint) -> str:
    """What the windows between two points brought."""
    return dumps(
        {
            "windows": after.windows,
            "segments": [segment_to_json(one) for one in after.segments[len(before.segments) :]],
            "suppressed": [suppressed_to_json(one) for one in after.suppressed[len(before.suppressed) :]],
            "language": after.language,
            "probability": after.probability,
            "probabilities": after.probabilities,
            "previous": after.previous,
            "recent": after.recent,
        }
    )


def resume_point(documents: Iterable[str]) -> ResumePoint:
    """The point behind these documents, given in order."""
    bodies = [json.loads(document) for document in documents]
    if not bodies:
        return ResumePoint()
    last = bodies[-1]
    return ResumePoint(
        windows=last["windows"],
        segments=tuple(segment_from_json(one) for body in bodies for one in body["segments"]),
        suppressed=tuple(suppressed_from_json(one) for body in bodies for one in body["suppressed"]),
        language=last["language"],
        probability=last["probability"],
        probabilities=tuple((code, value) for code, value in last["probabilities"]),
        previous=tuple(last["previous"]),
        recent=tuple(last["recent"]),
    )


def segments_of(document: str) -> list[Segment]:
    """The segments of one document."""
    return [segment_from_json(one) for one in json.loads(document)["segments"]]
