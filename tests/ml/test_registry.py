"""The registry keeps what was learned, gives it back bit for bit, and opens nothing that could run code."""

from __future__ import annotations

import dataclasses
import json
import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ml import registry as registry_module
from ml.registry import (
    Artifact,
    CorruptArtifactError,
    FormatVersionError,
    Registry,
    RegistryError,
    UnknownVersionError,
    UnsafeArtifactError,
)

TENANT, MODEL = "acme/../eu", "ltv"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def made(day: int = 1, **changes: object) -> Artifact:
    artifact = Artifact(
        TENANT,
        MODEL,
        date(2024, 11, day),
        "0f" * 16,
        {"r": 0.1 + 0.2, "warning": None},
        [{"metric": "rmse", "value": 1.5}],
        {"weights": np.arange(4.0), "names": np.array(["a", "b"])},
    )
    return dataclasses.replace(artifact, **changes)


def folder_of(registry: Registry, version: str) -> Path:
    return next(registry.folder.rglob(version))


def test_what_is_saved_comes_back(registry: Registry) -> None:
    artifact = made()
    version = registry.save(artifact)
    loaded = registry.load(TENANT, MODEL, version)
    assert version == artifact.version == loaded.version
    assert version.startswith("2024-11-01-")
    plain = [field.name for field in dataclasses.fields(artifact) if field.name != "arrays"]
    assert [getattr(loaded, name) for name in plain] == [getattr(artifact, name) for name in plain]
    assert set(loaded.packages) == {"numpy", "pandas", "scikit-learn", "scipy"}
    assert loaded.arrays["weights"].tolist() == [0, 1, 2, 3]
    assert loaded.arrays["names"].tolist() == ["a", "b"]


def test_equal_content_is_one_version_and_equal_bytes(registry: Registry, tmp_path: Path) -> None:
    version = registry.save(made())
    other = Registry(tmp_path / "elsewhere")
    turned = {"names": np.array(["a", "b"]), "weights": np.arange(4.0)}
    assert registry.save(made(arrays=turned)) == other.save(made(arrays=turned)) == version
    assert registry.versions(TENANT, MODEL) == [version]
    for name in ("manifest.json", "arrays.npz"):
        assert (folder_of(registry, version) / name).read_bytes() == (folder_of(other, version) / name).read_bytes()
    assert registry.save(made(arrays={"weights": np.arange(5.0)})) != version
    assert registry.save(made(parameters={"r": 0.3})) != version


def test_promotion_and_rolling_back(registry: Registry) -> None:
    assert registry.promoted(TENANT, MODEL) is None
    with pytest.raises(UnknownVersionError, match="no version of ltv is in force"):
        registry.load(TENANT, MODEL)
    one, two, three = (registry.save(made(day)) for day in (1, 2, 3))
    assert registry.versions(TENANT, MODEL) == [one, two, three]
    assert registry.promoted(TENANT, MODEL) is None
    for version in (one, two, two):
        registry.promote(TENANT, MODEL, version)
    assert registry.load(TENANT, MODEL).as_of_date == date(2024, 11, 2)
    assert registry.roll_back(TENANT, MODEL) == one
    assert registry.promoted(TENANT, MODEL) == one
    with pytest.raises(UnknownVersionError, match="no earlier version"):
        registry.roll_back(TENANT, MODEL)
    with pytest.raises(UnknownVersionError, match="there is no version"):
        registry.promote(TENANT, MODEL, "2024-11-09-0000000000000000")
    assert registry.promoted(TENANT, MODEL) == one


def test_tenants_and_models_are_apart_and_inside_the_folder(registry: Registry) -> None:
    names = ["acme", "acme/../eu", "..", ".", "", "Ümlaut ", "x" * 500, "a=b"]
    versions = {}
    for user_id in names:
        versions[user_id] = registry.save(made(user_id=user_id))
        registry.promote(user_id, MODEL, versions[user_id])
    for user_id in names:
        assert registry.load(user_id, MODEL).user_id == user_id
        assert registry.promoted(user_id, "churn") is None
    assert len(list(registry.folder.iterdir())) == len(names)
    assert list(registry.folder.parent.iterdir()) == [registry.folder]


@pytest.mark.parametrize("version", ["..", "../model=churn", ".unfinished-x", ""])
def test_no_version_leads_out_of_its_folder(registry: Registry, version: str) -> None:
    registry.save(made())
    with pytest.raises(UnknownVersionError):
        registry.load(TENANT, MODEL, version)


class Bomb:
    """Leaves a trace when unpickled."""

    def __init__(self, trace: Path) -> None:
        """Leave it at `trace`."""
        self.trace = trace

    def __reduce__(self) -> tuple:
        """Tell pickle to call `touch`."""
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("name", ["arrays.npz", "manifest.json"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_its_place_is_refused_unopened(
    registry: Registry, tmp_path: Path, name: str, protocol: int
) -> None:
    version = registry.save(made())
    path, trace = folder_of(registry, version) / name, tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace), protocol=protocol))
    with pytest.raises(UnsafeArtifactError, match="is a pickle, which could run code: refused"):
        registry.load(TENANT, MODEL, version)
    with pytest.raises(UnsafeArtifactError):
        registry.promote(TENANT, MODEL, version)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_an_old_pickle_is_corrupt(registry: Registry, tmp_path: Path, protocol: int) -> None:
    version = registry.save(made())
    (folder_of(registry, version) / "arrays.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "trace"), protocol=protocol))
    with pytest.raises(CorruptArtifactError, match="not what was saved"):
        registry.load(TENANT, MODEL, version)
    assert not (tmp_path / "trace").exists()


def test_a_pickle_inside_the_arrays_is_refused_also_by_a_forger_who_mends_the_hashes(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    np.savez(tmp_path / "forged.npz", weights=np.array([Bomb(trace)], dtype=object))
    forged = (tmp_path / "forged.npz").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(registry_module, "_packed", lambda _: forged)
        version = registry.save(made())
    with pytest.raises(UnsafeArtifactError, match="holds objects, which could run code"):
        registry.load(TENANT, MODEL, version)
    assert not trace.exists()


def test_objects_are_not_saved(registry: Registry) -> None:
    with pytest.raises(ValueError, match="array weights is of object"):
        registry.save(made(arrays={"weights": np.array([{}])}))
    with pytest.raises(ValueError, match="Out of range float"):
        registry.save(made(parameters={"r": float("nan")}))
    assert registry.versions(TENANT, MODEL) == []


@pytest.mark.parametrize("name", ["arrays.npz", "manifest.json"])
@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "remove"])
def test_a_corrupt_artifact_is_refused_and_the_former_stays_in_force(registry: Registry, name: str, spoil: str) -> None:
    former, version = registry.save(made(1)), registry.save(made(2))
    registry.promote(TENANT, MODEL, former)
    path = folder_of(registry, version) / name
    content = path.read_bytes()
    middle = len(content) // 2
    if spoil == "remove":
        path.unlink()
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:-7], "flip": flipped, "empty": b""}[spoil])
    with pytest.raises(CorruptArtifactError, match=name):
        registry.promote(TENANT, MODEL, version)
    assert registry.load(TENANT, MODEL).version == former
    # Training again from the same data mends it.
    assert registry.save(made(2)) == version
    registry.promote(TENANT, MODEL, version)
    path.unlink(missing_ok=True)
    with pytest.raises(CorruptArtifactError):
        registry.load(TENANT, MODEL)
    assert registry.roll_back(TENANT, MODEL) == former
    assert registry.load(TENANT, MODEL).version == former


@pytest.mark.parametrize("found", [1, 3, "2", None])
def test_another_format_is_refused(registry: Registry, found: object) -> None:
    version = registry.save(made())
    path = folder_of(registry, version) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": found}))
    with pytest.raises(FormatVersionError, match="this code reads 2: train again"):
        registry.load(TENANT, MODEL, version)


def test_an_artifact_of_another_tenant_is_refused(registry: Registry) -> None:
    version = registry.save(made())
    home = folder_of(registry, version).parent
    other = home.parent.parent / "tenant=other" / home.name
    other.parent.mkdir()
    home.rename(other)
    with pytest.raises(CorruptArtifactError, match="another place"):
        registry.load("other", MODEL, version)


def test_a_manifest_that_lacks_something_is_refused_also_where_its_hash_is_right(registry: Registry) -> None:
    path = folder_of(registry, registry.save(made())) / "manifest.json"
    described = json.loads(path.read_text())
    del described["arrays_sha256"], described["version"]
    version = registry_module._version(described)  # noqa: SLF001
    path.write_text(json.dumps(described | {"version": version}))
    path.parent.rename(path.parent.with_name(version))
    with pytest.raises(CorruptArtifactError, match="is not what was saved"):
        registry.load(TENANT, MODEL, version)


@pytest.mark.parametrize("content", ["", "[]", '{"versions": 3}', '{"versions": [1]}'])
def test_an_unreadable_promotion_is_said(registry: Registry, content: str) -> None:
    version = registry.save(made())
    (folder_of(registry, version).parent / "promoted.json").write_text(content)
    with pytest.raises(CorruptArtifactError, match="is not readable: train again"):
        registry.load(TENANT, MODEL)
    registry.promote(TENANT, MODEL, version)
    assert registry.load(TENANT, MODEL).version == version


def test_a_save_that_dies_leaves_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="no space"):
            registry.save(made())
    assert registry.versions(TENANT, MODEL) == []
    assert not list(registry.folder.rglob("*.npz"))
    assert issubclass(UnsafeArtifactError, RegistryError)
