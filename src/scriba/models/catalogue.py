"""Every Whisper name people use, and the one place where a name from outside becomes a model.

A client's name is looked up here and never opened as a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from scriba.domain.errors import ModelNotFoundError

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One model. ``hub`` is its CTranslate2 repository, ``hub_checkpoint`` that of its original weights."""

    name: str
    multilingual: bool
    translates: bool
    mel_bins: int
    size: str
    hub: str
    hub_checkpoint: str
    memory_bytes: int
    """Estimate of main memory while loaded as int8 on a CPU, work space included."""

    @property
    def from_hub_name(self) -> bool:
        """True for a repository that the catalogue does not list and a client named itself."""
        return "/" in self.name


_SYSTRAN = "Systran/faster-whisper-"
_OPENAI = "openai/whisper-"
# size -> estimate of memory. tiny, base and small: peak measured (CTranslate2 4.8, int8, one worker, beam 5:
# 224, 286 and 545 MiB), and some to spare; the others in proportion to their weights.
_MEMORY = {
    "tiny": 250 * _MB,
    "base": 320 * _MB,
    "small": 600 * _MB,
    "medium": 1_400 * _MB,
    "large": 2_500 * _MB,
    "turbo": 1_500 * _MB,
    "distil-small": 500 * _MB,
    "distil-medium": 900 * _MB,
    "distil-large": 1_600 * _MB,
}


def _plain(size: str) -> list[CatalogueEntry]:
    return [
        CatalogueEntry(
            name=name,
            multilingual=not english,
            translates=not english,
            mel_bins=80,
            size=size,
            hub=_SYSTRAN + name,
            hub_checkpoint=_OPENAI + name,
            memory_bytes=_MEMORY[size],
        )
        for english in (True, False)
        for name in [f"{size}.en" if english else size]
    ]


def _large(name: str, *, mel_bins: int, checkpoint: str | None = None) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        multilingual=True,
        translates=True,
        mel_bins=mel_bins,
        size="large",
        hub=_SYSTRAN + name,
        hub_checkpoint=_OPENAI + (checkpoint or name),
        memory_bytes=_MEMORY["large"],
    )


def _distil(name: str, size: str, *, mel_bins: int = 80, hub: str | None = None) -> CatalogueEntry:
    # Distilled models were trained on English alone, and to transcribe only.
    return CatalogueEntry(
        name=name,
        multilingual=False,
        translates=False,
        mel_bins=mel_bins,
        size=size,
        hub=hub or f"Systran/faster-distil-whisper-{name.removeprefix('distil-')}",
        hub_checkpoint=f"distil-whisper/{name}",
        memory_bytes=_MEMORY[size],
    )


ENTRIES: tuple[CatalogueEntry, ...] = (
    *_plain("tiny"),
    *_plain("base"),
    *_plain("small"),
    *_plain("medium"),
    _large("large-v1", mel_bins=80, checkpoint="large"),
    _large("large-v2", mel_bins=80),
    _large("large-v3", mel_bins=128),
    CatalogueEntry(
        name="large-v3-turbo",
        multilingual=True,
        translates=False,
        mel_bins=128,
        size="turbo",
        hub="mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        hub_checkpoint="openai/whisper-large-v3-turbo",
        memory_bytes=_MEMORY["turbo"],
    ),
    _distil("distil-small.en", "distil-small"),
    _distil("distil-medium.en", "distil-medium"),
    _distil("distil-large-v2", "distil-large"),
    _distil("distil-large-v3", "distil-large", mel_bins=128),
    _distil("distil-large-v3.5", "distil-large", mel_bins=128, hub="distil-whisper/distil-large-v3.5-ct2"),
)

SAME_MODEL: Mapping[str, str] = MappingProxyType({"large": "large-v3", "turbo": "large-v3-turbo"})
"""Other names of a model that are not configurable, since they mean the same everywhere."""

DEFAULT = ""
"""As the target of an alias: the server's default model."""

DEFAULT_ALIASES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            "whisper-1",
            "gpt-transcribe",
            "gpt-4o-transcribe",
            "gpt-4o-transcribe-latest",
            "gpt-4o-transcribe-diarize",
            "gpt-4o-mini-transcribe",
            "gpt-4o-mini-transcribe-2025-03-20",
            "gpt-4o-mini-transcribe-2025-12-15",
        ),
        DEFAULT,
    )
)
"""Names that clients of a paid service send, whatever model the server has."""

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$", re.ASCII)
_FOREIGN_PREFIXES = ("openai/whisper-", "openai/", "whisper-", "systran/faster-whisper-", "faster-whisper-")
_SHOWN = 60
_SIBLINGS = MappingProxyType({"distil-small": "small", "distil-medium": "medium", "distil-large": "large-v3"})


class Catalogue:
    """Resolves names. ``default`` is the model for a request that names none.

    Args:
        default: a name of the catalogue, or ``org/name`` when ``allow_hub_names``.
        aliases: further names to a name of the catalogue, or to ``DEFAULT``. They win over the
            catalogue's own.
        allow_hub_names: accept ``org/name`` of any hub repository. Off, since it lets a client make the
            server download what the client likes.
        own: names of models that live in folders of the operator.

    Raises:
        ModelNotFoundError: ``default``, or the target of an alias, is unknown.
    """

    def __init__(
        self,
        default: str,
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
        *,
        allow_hub_names: bool = False,
        own: Mapping[str, CatalogueEntry] | None = None,
    ) -> None:
        self._entries = {entry.name.lower(): entry for entry in ENTRIES}
        self._entries.update({name.lower(): entry for name, entry in (own or {}).items()})
        self._by_hub = {
            repository.lower(): entry for entry in ENTRIES for repository in (entry.hub, entry.hub_checkpoint)
        }
        self._allow_hub_names = allow_hub_names
        self._aliases: dict[str, str] = {}
        self._default = self._trusted(default.strip())
        self._aliases = {alias.strip().lower(): target.strip() for alias, target in aliases.items()}
        for target in self._aliases.values():
            if target != DEFAULT:
                self._trusted(target)

    @property
    def default(self) -> CatalogueEntry:
        return self._default

    @property
    def aliases(self) -> Mapping[str, str]:
        """Alias to the name of the model that it stands for now."""
        names = {
            alias: self._default.name if target == DEFAULT else target
            for alias, target in self._aliases.items()
        }
        return MappingProxyType(names)

    def entries(self) -> tuple[CatalogueEntry, ...]:
        """Every model that has a name here, smallest first."""
        return tuple(self._entries.values())

    def add(self, entry: CatalogueEntry) -> None:
        """Make a model of the operator's known under its own name."""
        self._entries[entry.name.lower()] = entry

    def resolve(self, name: str | None) -> CatalogueEntry:
        """The model a request means; None and ``""`` mean the default.

        Accepts catalogue names, aliases, and the same models by their repository's name
        (``openai/whisper-base``, ``whisper-base``, ``Systran/faster-whisper-base``), in any case.

        Raises:
            ModelNotFoundError: nothing of that name is known or allowed.
        """
        wanted = (name or "").strip()
        if not wanted:
            return self._default
        target = self._aliases.get(wanted.lower())
        if target is not None:
            return self._default if target == DEFAULT else self._lookup(target)
        return self._lookup(wanted, allow_hub_names=self._allow_hub_names)

    def multilingual_sibling(self, entry: CatalogueEntry) -> CatalogueEntry | None:
        """The model of the same size that speaks every language; None when there is none, or it is this."""
        if entry.multilingual:
            return None
        return self._entries.get(_SIBLINGS.get(entry.size, entry.size))

    def _trusted(self, name: str) -> CatalogueEntry:
        """A name the operator wrote: a hub repository is taken, and from then on known to clients too."""
        entry = self._lookup(name, allow_hub_names=True)
        self.add(entry)
        return entry

    def _lookup(self, name: str, *, allow_hub_names: bool = False) -> CatalogueEntry:
        lowered = name.lower()
        entry = self._entries.get(SAME_MODEL.get(lowered, lowered)) or self._by_hub.get(lowered)
        if entry is not None:
            return entry
        for prefix in _FOREIGN_PREFIXES:
            if lowered.startswith(prefix):
                short = lowered.removeprefix(prefix)
                entry = self._entries.get(SAME_MODEL.get(short, short))
                if entry is not None:
                    return entry
        if allow_hub_names and _HUB_NAME.match(name) and ".." not in name and "--" not in name:
            return _hub_entry(name)
        known = ", ".join([*(entry.name for entry in self._entries.values()), *SAME_MODEL, *self._aliases])
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
        raise ModelNotFoundError(f"The model {shown!r} is not known. Known models: {known}.", field="model")


def _hub_entry(name: str) -> CatalogueEntry:
    """A repository nobody described: what it can do is read off its weights once they are here."""
    lowered = name.lower()
    english = lowered.endswith(".en") or lowered.startswith("distil-whisper/")
    shortened = "distil" in lowered or "turbo" in lowered
    return CatalogueEntry(
        name=name,
        multilingual=not english,
        translates=not english and not shortened,
        mel_bins=80,
        size="unknown",
        hub=name,
        hub_checkpoint=name,
        memory_bytes=_MEMORY["large"],
    )


def own_entry(
    name: str, *, multilingual: bool, translates: bool, mel_bins: int, memory_bytes: int
) -> CatalogueEntry:
    """An entry for a model that the operator brought and no hub knows."""
    template = _hub_entry("own/model")
    return replace(
        template,
        name=name,
        multilingual=multilingual,
        translates=translates,
        mel_bins=mel_bins,
        size="own",
        hub="",
        hub_checkpoint="",
        memory_bytes=memory_bytes,
    )
