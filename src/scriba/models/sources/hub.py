"""The model hub: CTranslate2 repositories as faster-whisper uses them, else the original checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelUnavailableError
from scriba.models.catalogue import CatalogueEntry
from scriba.models.convert.checkpoints import PICKLED, read_huggingface
from scriba.models.convert.pipeline import convert
from scriba.models.convert.safetensors_file import INDEX, SHARD, WHOLE
from scriba.models.failures import DamagedDownloadError, NotOfferedError
from scriba.models.files import ProgressCallback, link_or_copy, require_space
from scriba.models.sources.hub_client import HubClient, Listing, watcher
from scriba.models.sources.port import FetchedModel

_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_READY = ("model.bin", "config.json", "tokenizer.json")
_CONFIGS = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")


class HubSource:
    """The hub.

    Args:
        cache: where downloads grow, and wait to be resumed.
        client: the hub to talk to; what the environment says by default.
    """

    name: Final = "hub"

    def __init__(self, cache: Path, client: HubClient | None = None) -> None:
        self._partial = cache / "hub"
        self._client = client or HubClient()

    def offers(self, entry: CatalogueEntry) -> bool:
        return bool(entry.hub or entry.hub_checkpoint)

    def locate(self, entry: CatalogueEntry) -> Path | None:
        """The model in the hub's own cache, put there by whatever program."""
        if not entry.hub:
            return None
        for vocabulary in _VOCABULARIES:
            found = self._client.cached(entry.hub, (*_READY, vocabulary))
            if found is not None:
                return found
        return None

    def fetch(
        self,
        entry: CatalogueEntry,
        into: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        """See ``Source.fetch``."""
        partial = self._partial / entry.name.replace("/", "--")  # two models may share a file
        partial.mkdir(parents=True, exist_ok=True)
        repositories = [name for name in dict.fromkeys((entry.hub, entry.hub_checkpoint)) if name]
        failures: list[ModelUnavailableError] = []
        for repository in repositories:
            if cancel is not None:
                cancel.check()
            try:
                listing = self._client.listing(repository, cancel)
                fetched = self._take(listing, entry, into, partial, progress, cancel)
            except (NotOfferedError, DamagedDownloadError) as error:
                failures.append(error)  # the other repository may do
            else:
                shutil.rmtree(partial, ignore_errors=True)
                return fetched
        raise failures[0]

    def _take(
        self,
        listing: Listing,
        entry: CatalogueEntry,
        into: Path,
        partial: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        ready = _ready_files(listing)
        wanted = ready or _checkpoint_files(listing)
        if not wanted:
            raise NotOfferedError("the hub's repository holds no Whisper model in a known form")
        require_space(partial, sum(listing.files[name].size or 0 for name in wanted))
        origin = {"repository": listing.repository, "commit": listing.commit}
        source = f"{self.name} ({listing.repository})"
        if ready:
            origin |= self._download(listing, wanted, into, partial, progress, cancel)
            return FetchedModel(source, origin)
        with tempfile.TemporaryDirectory(dir=into.parent, prefix="checkpoint-") as folder:
            origin |= self._download(listing, wanted, Path(folder), partial, progress, cancel)
            progress(0, None, "converting")
            checkpoint = Path(folder)
            convert(read_huggingface(checkpoint), checkpoint, into, name=entry.name, cancel=cancel)
        return FetchedModel(source, origin)

    def _download(
        self,
        listing: Listing,
        names: Sequence[str],
        into: Path,
        partial: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> dict[str, str]:
        sizes = [listing.files[name].size for name in names]
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        done, hashes = 0, {}
        for name in names:
            watch = watcher(progress, cancel, done, total)
            file = self._client.download(listing, name, partial, watch, cancel)
            link_or_copy(file, into / name)
            hashes[name] = file.name
            done += (into / name).stat().st_size
        return hashes


def _ready_files(listing: Listing) -> list[str]:
    """Files of a CTranslate2 repository; empty when it is none."""
    vocabulary = [name for name in _VOCABULARIES if name in listing.files]
    if not vocabulary or not all(name in listing.files for name in _READY):
        return []
    extra = [name for name in ("preprocessor_config.json",) if name in listing.files]
    return [*_READY, vocabulary[0], *extra]


def _checkpoint_files(listing: Listing) -> list[str]:
    """Files of a Hugging Face checkpoint, the safest form of weights first; empty when it is none."""
    if "tokenizer.json" not in listing.files:
        return []
    if WHOLE in listing.files:
        weights = [WHOLE]
    elif INDEX in listing.files:
        weights = [INDEX, *sorted(name for name in listing.files if SHARD.match(name))]
    elif PICKLED in listing.files:
        weights = [PICKLED]
    else:
        return []
    return [*(name for name in _CONFIGS if name in listing.files), *weights]
