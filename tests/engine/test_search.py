"""The search for text on made-up logits: rules, greedy, beams, sampling, windows of unequal length."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.engine.search.batch import search_all
from scriba.engine.search.draft import Draft, padded, search_greedily
from scriba.engine.search.hypotheses import Beam, Greedy, Sampling, Search, repeats_itself
from scriba.engine.search.rules import SpecialTokens, TokenRules

END, FIRST, SIZE = 10, 14, 24
"""Text 0 to 9, the end, three specials, ten timestamps."""
SPECIAL = SpecialTokens(end=END, first_timestamp=FIRST, blank=(0, END), not_speech=(1, 2))
NEVER = -np.inf

Logits = NDArray[np.float32]


def logits(**likely: float) -> Logits:
    """All tokens equally unlikely but those named, as ``t7=2.0``."""
    made = np.full(SIZE, -8.0, dtype=np.float32)
    for name, value in likely.items():
        made[int(name[1:])] = value
    return made


def allowed(weighed: Logits) -> set[int]:
    return set(np.flatnonzero(weighed > NEVER).tolist())


STAMPS = set(range(FIRST, SIZE))
TEXT = set(range(3, 10)) | {0}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], {FIRST, FIRST + 1, FIRST + 2}),  # a transcript opens with a timestamp, not too late
        ([FIRST], TEXT | {END}),  # then text
        ([FIRST, 5], TEXT | {END} | (STAMPS - {FIRST})),  # then text, or a later time
        ([FIRST, 5, FIRST + 4], {END} | {token for token in STAMPS if token >= FIRST + 4}),
        ([FIRST, 5, FIRST + 4, FIRST + 4], TEXT | {END}),
        ([FIRST, 5, FIRST + 4, FIRST + 4, 6], TEXT | {END} | {t for t in STAMPS if t > FIRST + 4}),
    ],
)
def test_timestamps_come_in_pairs_and_never_go_back(history: list[int], expected: set[int]) -> None:
    rules = TokenRules(SPECIAL, max_initial_timestamp=2)
    # Text is likelier than all timestamps together, so that the rule on their sum stays out of it.
    own = logits()
    own[: END + 1] = 5.0
    assert allowed(rules.weigh(own, history).logits) == expected


@pytest.mark.parametrize(
    ("history", "ends"),
    [
        ([FIRST], True),  # nothing said so far, and nothing need be
        ([FIRST, 5, FIRST + 4], False),  # a phrase has ended: another begins
        ([FIRST, 5, FIRST + 4, FIRST + 4], False),  # one has begun: it has text
        ([FIRST, 5, FIRST + 4, FIRST + 4, 6], True),  # the model's own affair
        ([FIRST, 5, FIRST + 6], True),  # all that is spoken is accounted for
        ([FIRST, 5, FIRST + 6, FIRST + 6], True),
    ],
)
def test_a_text_goes_on_behind_timestamps_while_somebody_speaks(history: list[int], ends: bool) -> None:
    rules = TokenRules(SPECIAL, spoken_until=6)
    own = logits()
    own[: END + 1] = 5.0
    assert (END in allowed(rules.weigh(own, history).logits)) is ends


def test_a_timestamp_wins_when_all_together_are_likelier_than_any_text() -> None:
    rules = TokenRules(SPECIAL)
    own = logits(t5=1.0)
    own[FIRST:] = 0.0  # ten of them: log 10 = 2.3
    assert allowed(rules.weigh(own, [FIRST, 5]).logits) == STAMPS - {FIRST}


def test_the_sum_is_over_what_is_allowed() -> None:
    rules = TokenRules(SPECIAL, timestamps=False)
    weighed = rules.weigh(logits(t5=3.0, t1=50.0), [5])
    known = weighed.logits[weighed.logits > NEVER].astype(np.float64)
    assert weighed.log_sum == pytest.approx(float(np.log(np.exp(known).sum())), abs=1e-5)
    assert allowed(weighed.logits) == TEXT | {END}


def test_blanks_may_come_later_but_not_first() -> None:
    rules = TokenRules(SPECIAL, timestamps=False)
    assert not {0, END} & allowed(rules.weigh(logits(), []).logits)
    assert allowed(rules.weigh(logits(), [5]).logits) >= {0, END}


def test_tokens_of_a_larger_vocabulary_are_not_missed() -> None:
    rules = TokenRules(SPECIAL, timestamps=False, suppress=(4, SIZE, 99_999))
    for _ in range(2):
        assert 4 not in allowed(rules.weigh(logits(), [5]).logits)


def test_the_end_cannot_be_suppressed() -> None:
    rules = TokenRules(SPECIAL, timestamps=False, suppress=(END, 4))
    assert END in allowed(rules.weigh(logits(), [5]).logits)
    assert 4 not in allowed(rules.weigh(logits(), [5]).logits)


def test_repetition_is_penalised_on_both_sides_of_zero() -> None:
    rules = TokenRules(SPECIAL, timestamps=False, repetition_penalty=2.0)
    weighed = rules.weigh(logits(t5=3.0, t6=-1.0, t7=3.0), [5, 6]).logits
    assert (weighed[5], weighed[6], weighed[7]) == (1.5, -2.0, 3.0)


def test_groups_may_not_come_twice() -> None:
    rules = TokenRules(SPECIAL, timestamps=False, no_repeat_ngram_size=3)
    assert allowed(rules.weigh(logits(), [5, 6, 7, 5, 6]).logits) == (TEXT | {END}) - {7}


def test_a_prefix_counts_as_written() -> None:
    rules = TokenRules(SPECIAL, opening=[FIRST, 5])
    own = logits()
    own[:END] = 5.0
    assert allowed(rules.weigh(own, []).logits) >= TEXT


class Script:
    """A reader that answers by what each row has read: a decoder one can write down."""

    def __init__(self, says: Callable[[tuple[int, ...]], Logits], windows: int) -> None:
        self._says = says
        self.rows: list[tuple[int, ...]] = [(100 + window,) for window in range(windows)]
        self.windows = list(range(windows))
        self.calls: list[int] = []

    def first(self) -> Logits:
        return np.stack([self._says(row) for row in self.rows])

    def read(self, tokens: NDArray[np.int64], parents: NDArray[np.int32]) -> Logits:
        self.rows = [(*self.rows[parent], int(token)) for token, parent in zip(tokens, parents, strict=True)]
        each = len(self.rows) // len(self.windows)
        # Rows must stay with the memory of their window.
        assert [row[0] - 100 for row in self.rows] == [own for own in self.windows for _ in range(each)]
        self.calls.append(len(self.rows))
        return np.stack([self._says(row) for row in self.rows])

    def keep(self, windows: Sequence[int]) -> None:
        self.windows = [self.windows[place] for place in windows]


def plain_rules() -> TokenRules:
    return TokenRules(SPECIAL, timestamps=False, suppress=())


def counting(row: tuple[int, ...]) -> Logits:
    """Window n says 3, 4, 5, … and ends after n + 2 tokens."""
    written = row[1:]
    return logits(t10=9.0) if len(written) == row[0] - 100 + 2 else logits(**{f"t{3 + len(written)}": 9.0})


@pytest.mark.parametrize("kind", ["greedy", "beam", "sampling"])
def test_windows_end_at_their_own_time_and_keep_their_own_text(kind: str) -> None:
    reader = Script(counting, 4)

    def made() -> Search:
        if kind == "greedy":
            return Greedy(plain_rules(), END, 20)
        if kind == "beam":
            return Beam(plain_rules(), END, 20, size=3, patience=1.0, length_penalty=1.0)
        random = np.random.default_rng(0)
        return Sampling(plain_rules(), END, 20, count=3, temperature=0.1, length_penalty=1.0, random=random)

    searches = [made() for _ in range(4)]
    search_all(reader, reader.first(), searches)
    assert [search.best().tokens for search in searches] == [
        (3, 4), (3, 4, 5), (3, 4, 5, 6), (3, 4, 5, 6, 7),
    ]  # fmt: skip
    if kind != "beam":  # a beam goes on until as many texts as it is wide have ended
        assert reader.calls[-1] < reader.calls[0]  # nothing is computed for windows that have ended


def test_greedy_adds_up_what_it_chose_the_end_included() -> None:
    reader = Script(counting, 1)
    search = Greedy(plain_rules(), END, 20)
    search_all(reader, reader.first(), [search])
    # The first choice is between nine tokens (no blank, no end), the others between eleven.
    expected = sum(9.0 - np.log(np.exp(9.0) + others * np.exp(-8.0)) for others in (8, 10, 10))
    assert search.best().log_probability == pytest.approx(expected, abs=1e-6)


def garden_path(row: tuple[int, ...]) -> Logits:
    """The likeliest first token leads nowhere; the second likeliest to a sure text."""
    written = row[1:]
    if not written:
        return logits(t3=1.0, t4=0.8)
    if written[0] == 3 and len(written) < 3:
        return logits(t5=0.1, t6=0.1, t7=0.1, t8=0.1)
    if len(written) < 3:
        return logits(t9=9.0)
    return logits(t10=9.0)


def test_a_beam_finds_what_greed_misses() -> None:
    found = []
    for search in (
        Greedy(plain_rules(), END, 20),
        Beam(plain_rules(), END, 20, size=4, patience=1.0, length_penalty=1.0),
    ):
        reader = Script(garden_path, 1)
        search_all(reader, reader.first(), [search])
        found.append(search.best())
    assert found[0].tokens[0] == 3
    assert found[1].tokens == (4, 9, 9)
    assert found[1].log_probability > found[0].log_probability


@pytest.mark.parametrize("limit", [1, 5])
def test_no_search_writes_more_than_its_limit(limit: int) -> None:
    def endless(row: tuple[int, ...]) -> Logits:
        return logits(**{f"t{3 + len(row) % 5}": 9.0})

    random = np.random.default_rng(0)
    for search in (
        Greedy(plain_rules(), END, limit),
        Beam(plain_rules(), END, limit, size=3, patience=1.0, length_penalty=1.0),
        Sampling(plain_rules(), END, limit, count=2, temperature=0.5, length_penalty=1.0, random=random),
    ):
        reader = Script(endless, 1)
        search_all(reader, reader.first(), [search])
        assert len(search.best().tokens) == limit


def test_a_loop_is_left_early() -> None:
    reader = Script(lambda row: logits(**{f"t{3 + len(row) % 3}": 9.0}), 1)
    search = Greedy(plain_rules(), END, 220)
    search_all(reader, reader.first(), [search])
    assert 48 <= len(search.best().tokens) < 64
    assert not repeats_itself([number % 7 + number // 7 for number in range(96)])


def test_sampling_is_the_same_every_time_and_follows_the_odds() -> None:
    def even(row: tuple[int, ...]) -> Logits:
        return logits(t10=9.0) if len(row) == 2 else logits(t4=2.0, t5=2.0)

    drawn = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        search = Sampling(plain_rules(), END, 9, count=1, temperature=1.0, length_penalty=1.0, random=random)
        reader = Script(even, 1)
        search_all(reader, reader.first(), [search])
        drawn.append(search.best().tokens[0])
    assert 60 < drawn.count(4) < 140
    assert set(drawn) == {4, 5}


class Ahead:
    """A reader of several tokens at once: each row must be what it believed and what it asks now."""

    def __init__(self, says: Callable[[tuple[int, ...]], Logits], windows: int) -> None:
        self._says = says
        self.rows: list[tuple[int, ...]] = [(100 + window,) for window in range(windows)]
        self.lengths: list[int] = []

    def first(self, asked: Sequence[Sequence[int]]) -> list[Logits]:
        return self._read([[row[0], *own] for row, own in zip(self.rows, asked, strict=True)], [()] * 9)

    def believe(self, counts: Sequence[int], read: int) -> None:
        vain = [read - count for count in counts]
        self.rows = [row[: len(row) - own] for row, own in zip(self.rows, vain, strict=True)]

    def read_on(self, rows: Sequence[Sequence[int]], windows: Sequence[int]) -> list[Logits]:
        return self._read(rows, [self.rows[place] for place in windows])

    def _read(self, rows: Sequence[Sequence[int]], before: Sequence[tuple[int, ...]]) -> list[Logits]:
        tokens = padded(rows)
        self.lengths.append(tokens.shape[1])
        self.rows = [(*row, *map(int, own)) for row, own in zip(before, tokens, strict=False)]
        starts = [len(row) - tokens.shape[1] for row in self.rows]
        return [
            np.stack([self._says(row[: start + place + 1]) for place in range(len(asked))])
            for row, start, asked in zip(self.rows, starts, rows, strict=True)
        ]


@pytest.mark.parametrize(
    ("drafts", "passes"),
    [
        ([[], [], [], []], 6),  # one token each time, and the end
        ([[3, 4], [3, 4, 5], [3, 4, 5, 6], [3, 4, 5, 6, 7]], 1),  # all at once
        ([[3, 4, 9, 9], [9], [9, 9, 3, 4, 5, 6], [3, 4]], 6),  # too much, wrong, begun too early, too short
        ([[14, 3, 14, 4], [3, 4, 5], [3, 4, 5, 6], [3, 15, 16, 4, 5, 6, 7]], 4),  # times that do not come
    ],
)
def test_a_draft_spares_passes_and_changes_no_text(drafts: list[list[int]], passes: int) -> None:
    reader = Ahead(counting, 4)
    searches = [Greedy(plain_rules(), END, 20) for _ in drafts]
    made = [Draft(draft, FIRST) for draft in drafts]
    asked = [draft.next() for draft in made]
    search_greedily(reader, reader.first(asked), asked, searches, made)
    assert [search.best().tokens for search in searches] == [
        (3, 4), (3, 4, 5), (3, 4, 5, 6), (3, 4, 5, 6, 7),
    ]  # fmt: skip
    assert len(reader.lengths) <= passes


def test_a_long_draft_is_read_in_parts() -> None:
    def says(row: tuple[int, ...]) -> Logits:
        return logits(t10=9.0) if len(row) == 41 else logits(**{f"t{3 + len(row) % 7}": 9.0})

    text = [3 + (1 + place) % 7 for place in range(40)]
    reader, search, draft = Ahead(says, 1), Greedy(plain_rules(), END, 60), Draft(text, FIRST)
    asked = [draft.next()]
    search_greedily(reader, reader.first(asked), asked, [search], [draft])
    assert list(search.best().tokens) == text
    assert len(reader.lengths) == 3
    assert max(reader.lengths) == 16
