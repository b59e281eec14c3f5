"""Breaking lines in scripts without spaces, and counting their columns."""

from __future__ import annotations

import unicodedata

import pytest

from scriba.formats import LineRules, cues
from scriba.formats.graphemes import clean_text, graphemes, text_width
from tests.formats.transcripts import segment, spoken


def lines(text: str, width: int, language: str = "ja") -> tuple[str, ...]:
    (cue,) = cues([segment(text, 0, 5, language=language)], LineRules(max_line_chars=width))
    return cue.lines


def test_japanese_breaks_between_characters_and_counts_two_columns_each() -> None:
    assert lines("今日はとても良い天気なので散歩に行きます", 22) == (
        "今日はとても良い天気",
        "なので散歩に行きます",
    )


def test_no_closing_mark_begins_a_line_and_no_opening_one_ends_it() -> None:
    text = "彼は「ありがとう」と言った。それから、「さようなら」と言って、帰っていった。"
    for width in range(8, 60):
        for line in lines(text, width):
            assert line[0] not in "」。、っ"
            assert line[-1] != "「"
            assert text_width(line) <= width


def test_latin_words_within_japanese_stay_whole() -> None:
    for width in range(12, 40):
        assert any("Whisper" in line for line in lines("これはWhisperという音声認識モデルです", width))


def test_thai_vowels_and_tone_marks_stay_with_their_consonant() -> None:
    for width in range(5, 30):
        for line in lines("วันนี้อากาศดีมากเราจะไปเดินเล่นที่สวนน้ำใหญ่", width, "th"):
            assert line[0] not in "ะาำๆ"
            assert unicodedata.category(line[0]) != "Mn"
            assert line[-1] not in "เแโใไ"


def test_korean_breaks_at_spaces() -> None:
    assert lines("오늘은 날씨가 정말 좋아요", 14, "ko") == ("오늘은 날씨가", "정말 좋아요")


def test_french_no_break_space_before_punctuation_holds() -> None:
    assert lines("Alors tu viens demain\u00a0?", 21, "fr") == ("Alors tu viens", "demain\u00a0?")


def test_a_word_longer_than_the_line_is_broken() -> None:
    assert lines("Donaudampfschifffahrtsgesellschaft", 20, "de") == ("Donaudampfschifffahr", "tsgesellschaft")


def test_japanese_words_keep_their_times_in_a_split() -> None:
    said = spoken(("今日", 0.0, 0.4), ("は", 0.4, 0.5), ("良い", 3.0, 3.4), ("天気", 3.4, 4.0), language="ja")
    first, second = cues([said], LineRules(max_gap=1))
    assert (first.text, first.end_ms, second.text, second.start_ms) == ("今日は", 500, "良い天気", 3000)
    assert [word.text for word in second.words or ()] == ["良い", "天気"]


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "👩\u200d💻",
        "❤\ufe0f",
        "🇫🇷",
        "👍🏽",
        "한",
        "\u1112\u1161\u11ab",
        "क्षि",
        "ก็",
        "น้ำ",
        "1\ufe0f\u20e3",
    ],
)
def test_one_character_to_a_reader_is_one_cluster(cluster: str) -> None:
    assert graphemes(f"a{cluster}b") == ["a", cluster, "b"]
    assert text_width(cluster) in (1, 2)


def test_two_flags_are_two_characters() -> None:
    assert graphemes("🇫🇷🇩🇪") == ["🇫🇷", "🇩🇪"]


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("ｱｲ", 2), ("e\u0301", 1), ("🇫🇷", 2), ("\u200b", 0), ("한글", 4)],
)
def test_columns(text: str, width: int) -> None:
    assert text_width(text) == width


def test_cleaning_keeps_no_break_spaces_and_drops_controls() -> None:
    assert clean_text(" a\r\n\tb\u2028c\u3000d\x00\ufeff e\u00a0? ") == "a b c d e\u00a0?"
    assert clean_text("\ud800x") == "\ufffdx"
