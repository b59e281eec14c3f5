"""The lock files hold hashed pins and nothing else, and cover what the project file asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
DOCUMENT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> dict[str, str]:
    """Version by canonical name; fails on anything that is not a pin with at least one SHA-256."""
    text = "\n".join(line for line in lock.read_text().splitlines() if not line.startswith("#"))
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        first, *hashes = [line.strip().removesuffix(" \\") for line in entry.split("\n")]
        requirement = Requirement(first)
        (pin,) = requirement.specifier
        assert pin.operator == "==", first
        assert requirement.url is None, first
        assert hashes, f"{first} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", value) for value in hashes), first
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} is pinned twice in {lock.name}"
        found[name] = pin.version
    return found


def asked(lock: str) -> list[str]:
    runtime: list[str] = DOCUMENT["project"]["dependencies"]
    bench: list[str] = DOCUMENT["project"]["optional-dependencies"]["bench"]
    dev: list[str] = DOCUMENT["dependency-groups"]["dev"]
    benchmarks: list[str] = DOCUMENT["dependency-groups"]["benchmarks"]
    build: list[str] = [*DOCUMENT["build-system"]["requires"], "editables"]
    return {
        "runtime": runtime,
        "bench": runtime + bench,
        "benchmarks": runtime + benchmarks,
        "dev": runtime + bench + dev,
        "build": build,
    }[lock]


def test_all_locks_are_there() -> None:
    assert [lock.stem for lock in LOCKS] == ["bench", "benchmarks", "build", "dev", "runtime", "uv"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_holds_only_hashed_pins(lock: Path) -> None:
    assert pins(lock)
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE), "an option such as --index-url"


@pytest.mark.parametrize("name", ["runtime", "bench", "benchmarks", "dev", "build"])
def test_lock_covers_what_is_asked(name: str) -> None:
    locked = pins(ROOT / "requirements" / f"{name}.txt")
    for line in asked(name):
        requirement = Requirement(line)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{line} is not in requirements/{name}.txt"
        assert version in requirement.specifier, f"{line} but {version} is locked"


@pytest.mark.parametrize("name", ["runtime", "bench", "benchmarks", "build"])
def test_locks_agree_with_the_development_lock(name: str) -> None:
    development = pins(ROOT / "requirements" / "dev.txt")
    for package, version in pins(ROOT / "requirements" / f"{name}.txt").items():
        assert development.get(package, version) == version, package


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_nothing_of_the_size_of_torch_is_locked(lock: Path) -> None:
    heavy = {"torch", "torchaudio", "tensorflow", "jax", "triton", "transformers"}
    assert not [name for name in pins(lock) if name in heavy or name.startswith("nvidia-")]


def run_check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "locks.py"), "check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_check_passes_on_what_is_committed(copy: Path) -> None:
    assert run_check(copy).returncode == 0


def test_the_check_notices_a_new_dependency(copy: Path) -> None:
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace('"rich>=', '"leftpad>=1",\n  "rich>='))
    result = run_check(copy)
    assert result.returncode == 1
    assert "requirements/runtime.txt is older than what it locks" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--find-links wheels",
        "rich @ https://packages.example/rich-1-py3-none-any.whl",
        "rich>=13",
    ],
)
def test_the_check_notices_an_address_or_a_loose_pin(copy: Path, line: str) -> None:
    lock = copy / "requirements" / "runtime.txt"
    lock.write_text(lock.read_text() + line + "\n")
    result = run_check(copy)
    assert result.returncode == 1
    assert "is neither a pin nor a hash" in result.stderr


def test_the_check_notices_a_missing_lock(copy: Path) -> None:
    (copy / "requirements" / "build.txt").unlink()
    result = run_check(copy)
    assert result.returncode == 1
    assert "requirements/build.txt is missing" in result.stderr
