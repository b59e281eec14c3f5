"""Where references are found, and what is said when they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scriba.bench import load_references
from scriba.domain.errors import InvalidOptionError, UnknownLanguageError
from tests import speech


def manifest(folder: Path, *entries: object) -> Path:
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")
    return path


def test_a_manifest_by_its_name_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.flac").touch()
    (tmp_path / "b.wav").touch()
    path = manifest(
        tmp_path,
        {"path": "sub/a.flac", "text": "Grüße", "language": "German", "duration": 1.5, "licence": "x"},
        {"path": "b.wav", "text": ""},
        {"path": "noise.wav", "duration": 3},
    )
    corpus = load_references(tmp_path)
    assert corpus == load_references(path)
    first, second = corpus.references
    assert (first.name, first.text, first.language, first.duration) == ("sub/a.flac", "Grüße", "de", 1.5)
    assert (second.path, second.text, second.language, second.duration) == (
        tmp_path / "b.wav",
        "",
        None,
        None,
    )
    assert corpus.without_text == 1


def test_a_folder_beside_a_manifest(tmp_path: Path) -> None:
    for name in ("sub/a.flac", "subway.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    manifest(
        tmp_path,
        {"path": "sub/a.flac", "text": "here"},
        {"path": "sub/noise.flac"},
        {"path": "subway.wav", "text": "elsewhere"},
    )
    corpus = load_references(tmp_path / "sub")
    assert [(one.name, one.path, one.text) for one in corpus.references] == [
        ("sub/a.flac", tmp_path / "sub" / "a.flac", "here")
    ]
    assert corpus.without_text == 1


def test_librispeech(tmp_path: Path) -> None:
    folder = tmp_path / "1688" / "142285"
    folder.mkdir(parents=True)
    (folder / "1688-142285.trans.txt").write_text(
        "1688-142285-0000 THERE'S IRON\n1688-142285-0001 MARGARET\n"
    )
    for number in range(2):
        (folder / f"1688-142285-000{number}.flac").touch()
    found = load_references(tmp_path).references
    assert [(one.name, one.text, one.language) for one in found] == [
        ("1688/142285/1688-142285-0000.flac", "THERE'S IRON", "en"),
        ("1688/142285/1688-142285-0001.flac", "MARGARET", "en"),
    ]


def test_pairs_of_recording_and_text(tmp_path: Path) -> None:
    (tmp_path / "b.wav").touch()
    (tmp_path / "b.txt").write_text("\ufeffTwo\nlines \n", "utf-8")
    (tmp_path / "v1.2.mp3").touch()
    (tmp_path / "v1.2.txt").write_text("dotted", "utf-8")
    (tmp_path / "README.txt").write_text("no recording", "utf-8")
    found = load_references(tmp_path).references
    assert [(one.name, one.text, one.language) for one in found] == [
        ("b.wav", "Two lines", None),
        ("v1.2.mp3", "dotted", None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"manifest\.jsonl line 1 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"text": "x"}', "line 1: path and text must be strings"),
        ('{"path": "a.wav", "text": 3}', "line 1: path and text must be strings"),
        ('{"path": "a.wav", "text": "x", "duration": "1"}', "duration must be a number"),
        ('{"path": "a.wav", "text": "x", "language": 1}', "language must be a string"),
        ('{"path": "gone.wav", "text": "x"}', r"line 1: there is no file 'gone\.wav'"),
        ('{"path": "a.wav"}', "holds no recording with a reference"),
        ("", "holds no recording with a reference"),
    ],
)
def test_a_faulty_manifest_names_the_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "manifest.jsonl").write_text(line)
    with pytest.raises(InvalidOptionError, match=message):
        load_references(tmp_path)


def test_an_unknown_language_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    manifest(tmp_path, {"path": "a.wav", "text": "x", "language": "en+zh"})
    with pytest.raises(UnknownLanguageError, match=r"manifest\.jsonl line 1: language"):
        load_references(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="no file or folder 'nowhere'"):
        load_references(tmp_path / "nowhere")
    with pytest.raises(InvalidOptionError, match="holds no recording"):
        load_references(tmp_path)
    (tmp_path / "x.trans.txt").write_text("lost-0000 TEXT")
    with pytest.raises(InvalidOptionError, match=r"x\.trans\.txt line 1: there is no recording 'lost-0000'"):
        load_references(tmp_path)
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "\xe9"}')
    with pytest.raises(InvalidOptionError, match="not UTF-8"):
        load_references(tmp_path / "latin.jsonl")


@pytest.mark.speech
def test_the_recordings_beside_the_clone() -> None:
    if not (speech.SHARED / "manifest.jsonl").is_file():
        pytest.skip("the recordings are not beside this clone")
    corpus = load_references(speech.SHARED)
    assert sum(one.name.startswith("librispeech-test-other/") for one in corpus.references) == 50
    assert corpus.without_text > 0
