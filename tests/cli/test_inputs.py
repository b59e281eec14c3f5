"""Which recordings the arguments mean."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scriba.cli.inputs import NothingToReadError, find, spool_stdin


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_a_named_file_counts_whatever_it_is_called(working_folder: Path) -> None:
    touch(Path("talk.bin"))
    (item,) = find(["talk.bin"])
    assert (item.path, item.stem, item.shown) == (Path("talk.bin"), Path("talk"), "talk.bin")


def test_a_folder_gives_its_recordings_in_order_and_below_it(working_folder: Path) -> None:
    for name in ("d/b.MP3", "d/a.wav", "d/notes.txt", "d/sub/c.webm", "d/.hidden.wav", "d/.git/x.wav"):
        touch(Path(name))
    items = find(["d"])
    assert [item.shown for item in items] == ["d/a.wav", "d/b.MP3", "d/sub/c.webm"]
    assert [item.stem for item in items] == [Path("a"), Path("b"), Path("sub/c")]


def test_a_recording_counts_once(working_folder: Path) -> None:
    touch(Path("d/a.wav"))
    assert len(find(["d/a.wav", "d", "./d/../d/a.wav", "-", "-"])) == 2


@pytest.mark.parametrize("argument", ["absent.wav", "empty"])
def test_an_argument_that_leads_nowhere_is_named(working_folder: Path, argument: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(NothingToReadError, match=argument):
        find([argument])


class Standard:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def test_standard_input_is_spooled_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    monkeypatch.setattr("sys.stdin", Standard(content))
    with spool_stdin(tmp_path) as file:
        assert file.tell() == 0
        assert file.read() == content
        assert list(tmp_path.iterdir()) == [], "the spooled file has no name"
