"""What must not be in the repository: machine paths, registry addresses, recordings, large files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = re.compile(
    "|".join(
        (
            r"files\.python" + r"hosted\.org",
            r"pypi\.org" + "/simple",
            r"registry\.npm" + r"js\.org",
            r"registry\.yarn" + r"pkg\.com",
            r"https?://\S*(?:/simple\b|\.whl\b|\.tgz\b)",
        )
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:home|root|work|Users|farm|opt|mnt)/(?!me\b)[\w.-]+")
"""The home of ``me`` is nobody's: examples may use it."""
MEDIA = {".wav", ".flac", ".mp3", ".ogg", ".webm", ".m4a", ".mp4", ".aac", ".aiff", ".opus"}
LARGEST_BYTES = 3_000_000


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy is no git clone, so what is tracked is unknown")
    names = (name for name in listed.stdout.decode().split("\0") if name)
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def lines(path: Path) -> list[str]:
    content = path.read_bytes()
    return [] if b"\0" in content else content.decode("utf-8").splitlines()


def findings(pattern: re.Pattern[str], skip: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in tracked()
        if path.relative_to(ROOT).as_posix() not in skip
        for number, line in enumerate(lines(path), 1)
        if (match := pattern.search(line))
    ]


def test_no_file_names_a_registry() -> None:
    assert findings(REGISTRY, {"tests/project/test_locks.py"}) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert findings(MACHINE_PATH, set()) == []


def test_no_recording_and_no_large_file_is_tracked() -> None:
    for path in tracked():
        assert path.suffix.lower() not in MEDIA, path
        assert path.stat().st_size <= LARGEST_BYTES, path


@pytest.mark.parametrize(
    "text", ["see /home" + "/someone/x", "cd /work" + "/main", '"/root' + '/.cache"', "/Users" + "/someone"]
)
def test_the_pattern_for_machine_paths_finds(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["the /workers/ route", "~/work/x", "/home/me/x", "a/home/b", "/v1/models", "/transcribe"]
)
def test_the_pattern_for_machine_paths_spares(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_versions_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    source = (ROOT / "src" / "scriba" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', source)
    assert version
    assert re.search(rf"^## \[{re.escape(version.group(1))}\]", changelog, re.MULTILINE)


@pytest.mark.parametrize(
    "document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda p: p.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"
