"""The registry: what was learned, per tenant and model, in a format whose loading runs no code.

    tenant=<user_id>/model=<model>/promoted.json            versions in the order of promotion, the last in force
                                                            (the run asks for the last one of a day's month)
    tenant=<user_id>/model=<model>/<version>/manifest.json  what, from which data, how good, with which packages
                                             arrays.npz     numbers and texts, never objects

A version's name is its day and a hash of all it holds: training again from equal data changes nothing. An artifact
appears by one rename, whole or not at all, and so does every promotion. Loading checks every byte against the hash;
that tells accidents, not forgers, so whoever may write the folder is trusted as far as numbers go, but no further: a
pickle is never opened.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

Array = np.ndarray[Any, Any]

FORMAT_VERSION = 2
MANIFEST, ARRAYS, PROMOTED = "manifest.json", "arrays.npz", "promoted.json"
KINDS_OF_ARRAYS = "biufUV"
"""Booleans, integers, floats, texts and records of them."""
PICKLE_START = b"\x80"
"""First byte of every pickle since protocol 2, of which each library's own format is made that runs code."""
HASH_DIGITS = 16
PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")


class RegistryError(Exception):
    """An artifact that is not there, or not to be had."""


class UnknownVersionError(RegistryError):
    """There is no such version, or none was promoted."""


class CorruptArtifactError(RegistryError):
    """An artifact is not what was saved: cut off, changed, or a part is missing."""


class FormatVersionError(RegistryError):
    """An artifact is of a format that this code does not read."""


class UnsafeArtifactError(RegistryError):
    """A file could run code when loaded, as a pickle: it was not opened."""


@dataclass(frozen=True)
class Artifact:
    """What is kept of a trained model.

    `parameters` and `metrics` are plain values as JSON has them (numbers must be finite or None); `arrays` hold what is
    large. `data_hash` names the data learned from, `as_of_date` its last day. `packages` are the versions of what
    trained it.
    """

    user_id: str
    model: str
    as_of_date: date
    data_hash: str
    parameters: dict[str, Any]
    metrics: dict[str, Any] | list[Any]
    arrays: dict[str, Array] = field(default_factory=dict)
    packages: dict[str, str] = field(
        default_factory=lambda: {name: importlib.metadata.version(name) for name in PACKAGES}
    )

    @property
    def version(self) -> str:
        """Return the name of this version: its day and the hash of its content."""
        return _version(self._described(_packed(self.arrays)))

    def _described(self, packed: bytes) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "user_id": self.user_id,
            "model": self.model,
            "as_of_date": self.as_of_date.isoformat(),
            "data_hash": self.data_hash,
            "parameters": self.parameters,
            "metrics": self.metrics,
            "packages": self.packages,
            "arrays_sha256": hashlib.sha256(packed).hexdigest(),
        }


KEYS = {"format_version", "arrays_sha256"} | {part.name for part in fields(Artifact)} - {"arrays"}
"""What a manifest says, besides its version."""


class Registry:
    """Artifacts under one folder. One writer at a time; readers need no lock."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which appears with the first artifact."""
        self.folder = folder

    def save(self, artifact: Artifact) -> str:
        """Store an artifact and return its version; equal content is stored once. It is not in force until promoted.

        Raises ValueError for arrays of objects and for values that JSON does not have.
        """
        packed = _packed(artifact.arrays)
        described = artifact._described(packed)  # noqa: SLF001
        version = _version(described)
        home = self._home(artifact.user_id, artifact.model)
        if (home / version).exists():
            # Whole, or to be replaced: the same content has the same name.
            try:
                self.load(artifact.user_id, artifact.model, version)
            except RegistryError:
                shutil.rmtree(home / version)
            else:
                return version
        home.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home))
        try:
            _write(unfinished / ARRAYS, packed)
            _write(unfinished / MANIFEST, json.dumps(described | {"version": version}, indent=1).encode())
            unfinished.chmod(0o755)
            unfinished.rename(home / version)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return version

    def load(self, user_id: str, model: str, version: str | None = None) -> Artifact:
        """Return an artifact: the one in force, or `version`.

        Raises UnknownVersionError, UnsafeArtifactError, FormatVersionError or CorruptArtifactError, whose message says
        which file and what to do.
        """
        name = self.promoted(user_id, model) if version is None else version
        if name is None:
            raise UnknownVersionError(f"no version of {model} is in force for tenant {user_id!r}: train one first")
        folder = self._home(user_id, model) / name
        if name not in self.versions(user_id, model):
            raise UnknownVersionError(f"there is no version {name} of {model} for tenant {user_id!r}")
        described = _manifest(folder / MANIFEST)
        packed = _bytes(folder / ARRAYS)
        if hashlib.sha256(packed).hexdigest() != described["arrays_sha256"]:
            raise CorruptArtifactError(f"{folder / ARRAYS} is not what was saved: train again")
        if (described["user_id"], described["model"], described["version"]) != (user_id, model, name):
            raise CorruptArtifactError(f"{folder} holds {described['version']} of another place")
        return Artifact(
            user_id,
            model,
            date.fromisoformat(described["as_of_date"]),
            described["data_hash"],
            described["parameters"],
            described["metrics"],
            _unpacked(packed, folder / ARRAYS),
            described["packages"],
        )

    def versions(self, user_id: str, model: str) -> list[str]:
        """Return the stored versions, the oldest day first; whether each is sound shows on loading."""
        home = self._home(user_id, model)
        folders = home.iterdir() if home.is_dir() else ()
        return sorted(folder.name for folder in folders if folder.is_dir() and not folder.name.startswith("."))

    def promoted(self, user_id: str, model: str) -> str | None:
        """Return the version in force, None where there is none."""
        return (self.promotions(user_id, model) or [None])[-1]

    def promote(self, user_id: str, model: str, version: str) -> None:
        """Put a version in force, once it is found whole; where promotions cannot be read they begin anew."""
        self.load(user_id, model, version)
        try:
            promotions = self.promotions(user_id, model)
        except CorruptArtifactError:
            promotions = []
        if promotions[-1:] != [version]:
            self._set_promotions(user_id, model, [*promotions, version])

    def roll_back(self, user_id: str, model: str) -> str:
        """Put the version in force that was before the present one, and return it.

        Raises UnknownVersionError where there was none; the present one stays where the former cannot be loaded.
        """
        promotions = self.promotions(user_id, model)
        if len(promotions) <= 1:
            raise UnknownVersionError(f"no earlier version of {model} was in force for tenant {user_id!r}")
        self.load(user_id, model, promotions[-2])
        self._set_promotions(user_id, model, promotions[:-1])
        return promotions[-2]

    def promotions(self, user_id: str, model: str) -> list[str]:
        """Return the versions that were put in force, the present one last; raise CorruptArtifactError."""
        path = self._home(user_id, model) / PROMOTED
        if not path.exists():
            return []
        try:
            versions = json.loads(path.read_bytes())["versions"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptArtifactError(f"{path} is not readable: train again") from error
        if not (isinstance(versions, list) and all(isinstance(version, str) for version in versions)):
            raise CorruptArtifactError(f"{path} is not readable: train again")
        return versions

    def _set_promotions(self, user_id: str, model: str, versions: list[str]) -> None:
        path = self._home(user_id, model) / PROMOTED
        waiting = path.with_name(f".{PROMOTED}")
        _write(waiting, json.dumps({"versions": versions}).encode())
        waiting.replace(path)

    def _home(self, user_id: str, model: str) -> Path:
        return self.folder / f"tenant={_safe(user_id)}" / f"model={_safe(model)}"


def _safe(name: str) -> str:
    """Return a name of a folder for any text; long ones by their hash."""
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= 150 else hashlib.sha256(name.encode()).hexdigest()  # noqa: PLR2004


def _version(described: dict[str, Any]) -> str:
    content = json.dumps(described, sort_keys=True, allow_nan=False).encode()
    return f"{described['as_of_date']}-{hashlib.sha256(content).hexdigest()[:HASH_DIGITS]}"


def _packed(arrays: dict[str, Array]) -> bytes:
    """Return the arrays as an .npz of the same bytes each time: sorted, not compressed, without dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            if array.dtype.hasobject or array.dtype.kind not in KINDS_OF_ARRAYS:
                raise ValueError(f"array {name} is of {array.dtype}: numbers, flags and texts are stored, no objects")
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return buffer.getvalue()


def _unpacked(packed: bytes, path: Path) -> dict[str, Array]:
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            raise UnsafeArtifactError(f"{path} holds objects, which could run code: refused") from error
        raise CorruptArtifactError(f"{path} cannot be read: train again") from error


def _manifest(path: Path) -> dict[str, Any]:
    """Return a manifest whose content is that of its version's name."""
    content = _bytes(path)
    try:
        described = json.loads(content)
        found = described["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifactError(f"{path} is not a manifest: train again") from error
    if found != FORMAT_VERSION:
        raise FormatVersionError(f"{path} is of format {found!r}, this code reads {FORMAT_VERSION}: train again")
    version = described.pop("version", None)
    try:
        is_whole = described.keys() == KEYS and _version(described) == version
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise CorruptArtifactError(f"{path} is not what was saved: train again")
    return described | {"version": version}


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.iterdir())
        raise CorruptArtifactError(f"{path} is missing; there are: {', '.join(others) or 'no files'}") from None
    if content.startswith(PICKLE_START):
        raise UnsafeArtifactError(f"{path} is a pickle, which could run code: refused")
    return content


def _write(path: Path, content: bytes) -> None:
    """Write a file and see it onto the disk, so that a rename never shows half of it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
