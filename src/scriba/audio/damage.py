"""When a file is too damaged to be transcribed, and when a flaw is forgiven.

The rule:
- A file cut short keeps what is there: one failing packet at its very end is the cut.
- Of a lossy stream, packets here and there may fail; their time becomes silence. When more than a tenth
  of them fail the file is corrupt: the words around the holes would be guesses.
- FLAC is bit-exact by contract, so a frame that fails is damage: the file is corrupt, unless that frame is
  the cut end of a file that visibly lacks more than that frame.
- A stream that yields nothing for a thousand packets on end is corrupt, however many came before.
"""

from __future__ import annotations

from scriba.domain.errors import EmptyMediaError, UnsupportedMediaError

FORGIVEN_SHARE = 0.1
JUDGED_FROM = 50
"""Failed packets after which a mostly failing stream is given up early rather than read to its end."""
BARREN_PACKETS = 1000
BIT_EXACT = frozenset({"flac"})


def no_samples() -> EmptyMediaError:
    """For a track that is sound in form but holds nothing (or less than one sample at 16 kHz)."""
    return EmptyMediaError("The file's audio track is empty: it holds 0 samples.", field="file")


class DamageReport:
    """Counts what decoded and what did not, and raises when it is too much."""

    def __init__(self, codec: str, claimed_seconds: float | None) -> None:
        self._bit_exact = codec in BIT_EXACT
        self._claimed = claimed_seconds
        self._packets = 0
        self._failed = 0
        self._failed_last = False
        self._barren = 0
        self._longest_frame = 0.0

    def packet_decoded(self, seconds: float) -> None:
        """A packet went in without an error and this much audio came out (0 while a decoder fills up).

        Raises:
            UnsupportedMediaError: the stream is damaged beyond the rule.
        """
        self._packets += 1
        self._end_failure()
        self._longest_frame = max(self._longest_frame, seconds)
        self._count_barren(seconds == 0)

    def packet_failed(self) -> None:
        """A packet could not be read or decoded.

        Raises:
            UnsupportedMediaError: the stream is damaged beyond the rule.
        """
        self._end_failure()
        self._packets += 1
        self._failed += 1
        self._failed_last = True
        self._count_barren(True)
        if self._failed >= JUDGED_FROM and self._failed > self._packets / 2:
            raise self._corrupt()

    def finished(self, seconds: float) -> None:
        """The stream ended after ``seconds`` of decoded audio.

        Raises:
            EmptyMediaError: there was no audio at all, and nothing failed.
            UnsupportedMediaError: the stream is damaged beyond the rule.
        """
        if seconds == 0:
            if self._failed:
                raise self._corrupt()
            raise no_samples()
        failed = self._failed - self._failed_last
        if failed > FORGIVEN_SHARE * self._packets:
            raise self._corrupt()
        if self._failed_last and self._bit_exact and self._claimed is not None:
            missing = self._claimed - seconds
            if missing <= self._longest_frame:
                raise self._corrupt()

    def _end_failure(self) -> None:
        """The failure before was not the cut end after all."""
        if self._failed_last and self._bit_exact:
            raise self._corrupt()
        self._failed_last = False

    def _count_barren(self, barren: bool) -> None:
        self._barren = self._barren + 1 if barren else 0
        if self._barren >= BARREN_PACKETS:
            raise self._corrupt()

    def _corrupt(self) -> UnsupportedMediaError:
        return UnsupportedMediaError(
            f"The file is corrupt: {self._failed} of {self._packets} packets of its audio cannot be decoded.",
            field="file",
        )
