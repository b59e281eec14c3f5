"""The error table is whole, and its two shapes hold what clients read."""

from __future__ import annotations

import pytest

from scriba.domain import errors as domain
from scriba.domain.errors import ScribaError
from scriba.doors import errors


def make(kind: type[ScribaError]) -> ScribaError:
    if issubclass(kind, domain.OverloadedError):
        return kind("Full.", retry_after=2.1)
    return kind("It went wrong.", field="file")


def test_every_error_of_the_domain_has_a_row_of_its_own() -> None:
    kinds = {
        kind for kind in vars(domain).values() if isinstance(kind, type) and issubclass(kind, ScribaError)
    }
    assert kinds <= set(errors.TABLE)


@pytest.mark.parametrize("kind", sorted(errors.TABLE, key=str))
def test_both_shapes(kind: type[ScribaError]) -> None:
    error = make(kind)
    ours = errors.reply_to(error, openai=False)
    assert ours.body == {"detail": error.message}
    theirs = errors.reply_to(error, openai=True)
    assert set(theirs.body) == {"error"}
    assert set(theirs.body["error"]) == {"message", "type", "param", "code"}
    assert theirs.body["error"]["message"] == error.message
    assert theirs.body["error"]["code"] == kind.code
    assert 400 <= ours.status < 600
    assert 400 <= theirs.status < 600


def test_who_should_try_again() -> None:
    full = errors.reply_to(domain.OverloadedError("Full.", retry_after=2.1), openai=True)
    assert full.headers == {"retry-after": "3"}
    gone = errors.reply_to(domain.ModelUnavailableError("No disk."), openai=True)
    assert gone.headers == {"x-should-retry": "false"}
    assert errors.reply_to(domain.InvalidOptionError("No."), openai=True).headers == {}


def test_an_error_of_a_newer_kind_takes_its_bases_row() -> None:
    class NarrowerError(domain.UnsupportedMediaError):
        pass

    assert errors.reply_to(NarrowerError("No."), openai=False).status == 415
