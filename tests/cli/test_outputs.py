"""Where results are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.cli.inputs import Input
from scriba.cli.outputs import plan, write_whole


def inputs(*names: str) -> list[Input]:
    return [Input(name, Path(name), Path(Path(name).stem)) for name in names]


def planned(*names: str, suffixes: tuple[str, ...] = (".srt",)) -> list[str]:
    return [path.name for files in plan(inputs(*names), Path("out"), list(suffixes)) for path in files]


def test_names_come_from_the_inputs() -> None:
    assert planned("talk.mp3", "b.wav", suffixes=(".srt", ".txt")) == [
        "talk.srt",
        "talk.txt",
        "b.srt",
        "b.txt",
    ]


def test_inputs_that_would_meet_keep_their_whole_name() -> None:
    assert planned("a.wav", "a.mp3", "b.wav") == ["a.wav.srt", "a.mp3.srt", "b.srt"]


def test_case_does_not_tell_files_apart() -> None:
    assert planned("Talk.wav", "talk.mp3") == ["Talk.wav.srt", "talk.mp3.srt"]


def test_the_same_name_in_two_folders_is_numbered() -> None:
    assert planned("x/a.wav", "y/a.wav") == ["a.wav.srt", "a.wav-2.srt"]


def test_a_folder_below_is_kept() -> None:
    item = Input("d/sub/c.webm", Path("d/sub/c.webm"), Path("sub/c"))
    assert plan([item], Path("out"), [".srt"]) == [[Path("out/sub/c.srt")]]


def test_an_input_is_never_written_over(working_folder: Path) -> None:
    item = Input("speech.txt", Path("speech.txt"), Path("speech"))
    (files,) = plan([item], Path(), [".txt"])
    assert files == [Path("speech-2.txt")]


@given(
    st.lists(
        st.builds(
            lambda folder, stem, suffix: f"{folder}/{stem}{suffix}",
            st.sampled_from("xy"),
            st.sampled_from(["a", "A", "a.wav", "a-2", "a.wav-2"]),
            st.sampled_from([".wav", ".mp3", ".txt"]),
        ),
        unique=True,
    )
)
def test_outputs_never_meet(names: list[str]) -> None:
    files = [path for row in plan(inputs(*names), Path("x"), [".txt", ".srt"]) for path in row]
    taken = [str(path.resolve()).casefold() for path in files]
    assert len(set(taken)) == len(taken)
    assert not {str(Path(name).resolve()).casefold() for name in names} & set(taken)


def test_a_file_is_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "talk.srt"
    write_whole(path, "1\n00:00\nçok güzel\n")
    write_whole(path, "2\n")
    assert path.read_bytes() == b"2\n"
    assert [file.name for file in path.parent.iterdir()] == ["talk.srt"]
    assert path.stat().st_mode & 0o444 == 0o444


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "x" * 100_000 + "\udc80")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["talk.srt"]
