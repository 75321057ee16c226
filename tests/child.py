"""Functions of a test run in a process of their own: one that is killed, or whose disk is full or read-only."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TESTS = Path(__file__).parent
SECONDS = 300
BALLAST = "ballast"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
"""Of Linux: prctl(2), capabilities(7)."""

_SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs "$2"; shift 2; exec "$@"'
_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"; shift; exec "$@"'


def can_mount() -> bool:
    """Say whether an ordinary process may mount file systems that it alone sees."""
    unshare = shutil.which("unshare")
    command = [unshare or "false", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def command_of(function: Callable[..., object], *arguments: object) -> list[str]:
    """Return the command that calls a function of a test module with texts.

    One that hangs says where, and ends.
    """
    code = (
        f"import faulthandler; faulthandler.dump_traceback_later({SECONDS - 10}, exit=True); "
        f"import sys, {function.__module__} as module; module.{function.__name__}(*sys.argv[1:])"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(command: Sequence[object], **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command, its modules found where pytest finds them; output and errors together."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        **{"env": environment} | settings,
    )


def run_on_small_disk(command: Sequence[object], folder: Path, size: str, **settings: object) -> str:
    """Run a command that sees an empty disk of a size (as `mount` has it) at a folder; return what it printed.

    Where nothing may be mounted, `fill` limits how large files may grow instead: writes fail there just as well.
    """
    wrapped = ["unshare", "-Urm", "sh", "-ec", _SMALL_DISK, "sh", size, folder] if can_mount() else []
    done = run([*wrapped, *command], **settings)
    assert done.returncode == 0, done.stdout
    return done.stdout


def fill(folder: Path, leave_bytes: int) -> None:
    """Fill the disk of a folder but for some room; where it is no disk of its own, no file may grow beyond that."""
    if os.path.ismount(folder):
        free = shutil.disk_usage(folder).free
        with (folder / BALLAST).open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free - leave_bytes)
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (leave_bytes, resource.RLIM_INFINITY))


def make_room(folder: Path) -> None:
    """Undo `fill`."""
    (folder / BALLAST).unlink(missing_ok=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def run_read_only(command: Sequence[object], folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command to which a folder is read-only: mounted so, else by its mode, which then binds root too."""
    if can_mount():
        return run(["unshare", "-Urm", "sh", "-ec", _READ_ONLY, "sh", folder, *command], **settings)
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*")) if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        return run(command, **settings, preexec_fn=_obey_modes if os.geteuid() == 0 else None)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def _obey_modes() -> None:
    """Take from root, in the process to come, the right to write where the mode forbids it."""
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
        raise OSError("root cannot be made to obey the modes of files here")


def kill_self(*_: object, **__: object) -> None:
    """Die as by `kill -9`: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)
