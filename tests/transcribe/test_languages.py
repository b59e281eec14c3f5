"""When a language is believed and when it changes."""

from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.options import LanguagePolicy
from scriba.engine.port import LanguageGuess
from scriba.transcribe.languages import LanguageTracker

SPOKEN = frozenset({"en", "de", "fr", "ja"})


def guess(language: str, probability: float) -> LanguageGuess:
    others = [code for code in sorted(SPOKEN) if code != language]
    rest = (1 - probability) / len(others)
    ranking = [(language, probability), *((code, rest) for code in others)]
    return LanguageGuess(tuple(sorted(ranking, key=lambda pair: -pair[1])))


def decide_all(guesses: list[LanguageGuess], policy: LanguagePolicy | None = None) -> list[str]:
    """Feed a recording's guesses the way a transcription does."""
    tracker = LanguageTracker(policy or LanguagePolicy(), SPOKEN)
    decisions = []
    for index in range(len(guesses)):
        known = guesses[index : index + 1]
        while tracker.needs_more(known) and index + len(known) < len(guesses):
            known.append(guesses[index + len(known)])
        decisions.append(tracker.decide(known).language)
    return decisions


def test_one_sure_window_is_believed_at_once() -> None:
    tracker = LanguageTracker(LanguagePolicy(), SPOKEN)
    assert not tracker.needs_more([guess("de", 0.9)])
    decision = tracker.decide([guess("de", 0.9)])
    assert decision.language == "de"
    assert decision.probability > 0.89


def test_an_unsure_start_is_decided_by_several_windows() -> None:
    assert decide_all([guess("en", 0.4), guess("de", 0.49), guess("de", 0.49), guess("de", 0.45)])[0] == "de"


def test_one_odd_window_never_flips_the_language() -> None:
    german, odd = guess("de", 0.95), guess("en", 0.99)
    assert decide_all([german, odd, german, odd, german]) == ["de"] * 5
    assert decide_all([german, german, odd]) == ["de"] * 3
    assert decide_all([german, odd, guess("fr", 0.99), german]) == ["de"] * 4


def test_two_sure_windows_in_a_row_change_it_from_the_first_of_them() -> None:
    german, english = guess("de", 0.95), guess("en", 0.9)
    assert decide_all([german, english, english, english]) == ["de", "en", "en", "en"]


def test_unsure_windows_keep_it() -> None:
    german, unsure = guess("de", 0.95), guess("en", 0.5)
    assert decide_all([german, unsure, unsure, unsure]) == ["de"] * 4


def test_an_allow_list_limits_and_renormalises() -> None:
    policy = LanguagePolicy(allowed=("de", "fr"))
    tracker = LanguageTracker(policy, SPOKEN)
    mixed = LanguageGuess((("en", 0.8), ("de", 0.15), ("fr", 0.05)))
    decision = tracker.decide([mixed])
    assert decision.language == "de"
    assert abs(decision.probability - 0.75) < 1e-9


def test_a_named_language_is_never_doubted() -> None:
    tracker = LanguageTracker(LanguagePolicy(language="ja"), SPOKEN)
    assert not tracker.detects
    assert not tracker.needs_more([])
    assert tracker.decide([]).language == "ja"


def test_a_model_of_one_language_needs_no_guess() -> None:
    tracker = LanguageTracker(LanguagePolicy(), frozenset({"en"}))
    assert not tracker.detects
    assert tracker.decide([]).language == "en"


def test_an_allow_list_foreign_to_the_model_leaves_what_it_speaks() -> None:
    tracker = LanguageTracker(LanguagePolicy(allowed=("haw",)), SPOKEN)
    assert tracker.decide([guess("fr", 0.9)]).language == "fr"


@given(st.lists(st.tuples(st.sampled_from(sorted(SPOKEN)), st.floats(0.3, 1.0)), min_size=1, max_size=12))
def test_a_change_always_has_two_windows_behind_it(raw: list[tuple[str, float]]) -> None:
    decisions = decide_all([guess(*pair) for pair in raw])
    for index in range(1, len(decisions)):
        if decisions[index] != decisions[index - 1]:
            assert raw[index][0] == decisions[index] == raw[index + 1][0]
            assert min(raw[index][1], raw[index + 1][1]) >= 0.7 - 1e-9
