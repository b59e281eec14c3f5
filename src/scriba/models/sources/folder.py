"""Models of the operator: a CTranslate2 directory, a Hugging Face directory, or an OpenAI ``.pt`` file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from scriba.domain.cancel import CancelToken
from scriba.models.catalogue import ENTRIES, CatalogueEntry, own_entry
from scriba.models.convert.checkpoints import is_huggingface, read_huggingface, read_openai
from scriba.models.convert.pipeline import convert, model_bytes
from scriba.models.convert.state import ConversionError
from scriba.models.convert.vocabulary import ENGLISH_VOCABULARY, read_vocabulary
from scriba.models.convert.writer import Dimensions, read_dimensions
from scriba.models.failures import NotOfferedError
from scriba.models.files import ProgressCallback, require_space
from scriba.models.header import can_translate, read_model_dimensions, speaks_many_languages
from scriba.models.installed import is_complete
from scriba.models.sources.port import FetchedModel

_CHECKPOINT_NAMES = {entry.name for entry in ENTRIES}
_WORK_SPACE = 150_000_000


class FolderSource:
    """Names of the operator's own, each with a path.

    Args:
        folders: name to path.
        tokenizers: gives directories that may hold a tokenizer for an OpenAI file, which brings none.
    """

    name: Final = "folder"

    def __init__(self, folders: Mapping[str, Path], tokenizers: Callable[[], Iterable[Path]]) -> None:
        self._folders = {name: path.expanduser() for name, path in folders.items()}
        self._tokenizers = tokenizers

    def entry(self, name: str, known: CatalogueEntry | None) -> CatalogueEntry:
        """How the catalogue shall know one of the folders; ``known`` if it does already.

        Raises:
            ConversionError: the path holds nothing that can be used.
        """
        if known is not None:
            return known
        sizes = dimensions_of(self._folders[name])
        return own_entry(
            name,
            multilingual=speaks_many_languages(sizes),
            translates=can_translate(sizes),
            mel_bins=sizes.mel_bins,
            memory_bytes=model_bytes(sizes) + _WORK_SPACE,
        )

    def offers(self, entry: CatalogueEntry) -> bool:
        return entry.name in self._folders

    def locate(self, entry: CatalogueEntry) -> Path | None:
        path = self._folders.get(entry.name)
        return path if path is not None and path.is_dir() and is_complete(path) else None

    def fetch(
        self,
        entry: CatalogueEntry,
        into: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        """See ``Source.fetch``."""
        path = self._folders.get(entry.name)
        if path is None:
            raise NotOfferedError("no folder has this name")
        return fill_from_path(path, into, entry.name, self._tokenizers(), progress, cancel)


def dimensions_of(path: Path) -> Dimensions:
    """The sizes of the model at a path of the operator.

    Raises:
        ConversionError: there is no model of a known kind.
    """
    if path.is_dir() and is_complete(path):
        return read_model_dimensions(path / "model.bin")
    return read_dimensions(read_huggingface(path) if path.is_dir() else read_openai(_file(path)))


def fill_from_path(
    path: Path,
    into: Path,
    name: str,
    tokenizers: Iterable[Path],
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> FetchedModel:
    """Make a CTranslate2 model in ``into`` out of what lies at ``path``.

    Raises:
        ConversionError: it cannot be used, and why.
    """
    if cancel is not None:
        cancel.check()
    if path.is_dir() and is_complete(path):
        progress(0, None, "copying")
        _copy(path, into, cancel)
        return FetchedModel("folder (CTranslate2)", {"kind": "ctranslate2"})
    progress(0, None, "converting")
    if path.is_dir():
        if not is_huggingface(path):
            raise ConversionError(
                "The folder holds no model. A CTranslate2 model has model.bin, config.json, tokenizer.json "
                "and vocabulary.json; a Hugging Face one has model.safetensors or pytorch_model.bin, and "
                "tokenizer.json."
            )
        convert(read_huggingface(path), path, into, name=name, cancel=cancel)
        return FetchedModel("folder (Hugging Face checkpoint)", {"kind": "huggingface"})
    tensors = read_openai(_file(path))
    sizes = read_dimensions(tensors)
    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        # Only the tokenizer is shared between models: the other tables of its model are not this one's.
        shutil.copyfile(_fitting_tokenizer(sizes, tokenizers), Path(scratch) / "tokenizer.json")
        known = path.stem if path.stem in _CHECKPOINT_NAMES else name
        convert(tensors, Path(scratch), into, name=known, cancel=cancel)
    return FetchedModel("folder (OpenAI checkpoint)", {"kind": "openai"})


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ConversionError("There is no file or folder at the path that was given.")
    return path


def _copy(path: Path, into: Path, cancel: CancelToken | None) -> None:
    files = [file for file in path.iterdir() if file.is_file()]
    require_space(into, sum(file.stat().st_size for file in files))
    for file in files:
        if cancel is not None:
            cancel.check()
        shutil.copyfile(file, into / file.name)


def _fitting_tokenizer(sizes: Dimensions, folders: Iterable[Path]) -> Path:
    for folder in folders:
        try:
            read_vocabulary(folder / "tokenizer.json", sizes.vocabulary)
        except ConversionError:
            continue
        return folder / "tokenizer.json"
    example = "tiny.en" if sizes.vocabulary == ENGLISH_VOCABULARY else "tiny"
    if sizes.vocabulary > ENGLISH_VOCABULARY + 1:
        example = "large-v3"
    raise ConversionError(
        "An OpenAI checkpoint brings no tokenizer, and no installed model has one that fits. "
        f"Fetch one that does first, for example {example}."
    )
