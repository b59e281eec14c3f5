"""Windows as documents of the table, and the point behind the finished ones to go on from.

A window that was heard before its turn has a document too, until it is finished and gets its last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from scriba.domain.resume import HeardWindow, ResumePoint
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


def heard_document(window: HeardWindow) -> str:
    """What is kept of a window that waits for those before it."""
    return dumps({"heard": asdict(window)})


def is_finished(document: str) -> bool:
    return "heard" not in json.loads(document)


def resume_point(documents: Iterable[str]) -> ResumePoint:
    """The point behind these documents, given in order."""
    kept = [json.loads(document) for document in documents]
    bodies = [body for body in kept if "heard" not in body]
    ahead = tuple(HeardWindow(**body["heard"]) for body in kept if "heard" in body)
    if not bodies:
        return ResumePoint(ahead=ahead)
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
        ahead=ahead,
    )


def segments_of(document: str) -> list[Segment]:
    """The segments of one document."""
    return [segment_from_json(one) for one in json.loads(document)["segments"]]
