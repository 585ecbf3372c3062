"""The local home: this installation's folder of logs, results, server login and the keys kept outside databases."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from ml_connector.errors import ConfigurationError
from ml_connector.settings import Settings
from ml_connector.store.crypto import Keys

USER = "connector"


@dataclass(frozen=True)
class Login:
    """Who may use the Prefect server that we start: one shared login with full rights."""

    user: str
    password: str = field(repr=False)

    @property
    def auth_string(self) -> str:
        """The form Prefect's settings and its login page take."""
        return f"{self.user}:{self.password}"


@dataclass(frozen=True)
class Home:
    """An opened home; every folder and file that a server needs is there."""

    root: Path
    keys: Path
    store_url: str = field(repr=False)
    audit: Path
    login: Login

    @classmethod
    def open(cls, settings: Settings | None = None) -> Home:
        """Create what is missing and read the rest; ConfigurationError when a key is lost or open to others."""
        settings = settings or Settings()
        root = settings.home.expanduser().absolute()
        for folder in (root, root / "prefect", root / "logs", root / "results"):
            _make_folder(folder)
        _make_keys(settings.keys_path.absolute(), root / "ml-connector.db")
        _secret(root / "prefect-encryption-key", _new_fernet_key, needed_by=root / "prefect" / "prefect.db")
        user, _, password = _secret(root / "server-login", _new_login).partition(":")
        return cls(
            root=root,
            keys=settings.keys_path.absolute(),
            store_url=settings.store_url,
            audit=settings.checkpoints.absolute(),
            login=Login(user, password),
        )

    @property
    def logs(self) -> Path:
        """Where child processes write."""
        return self.root / "logs"

    @property
    def results(self) -> Path:
        """Where Prefect keeps (encrypted) task results."""
        return self.root / "results"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the home for one server; ConfigurationError when another process has it."""
        with (self.root / "server.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise ConfigurationError(
                    f"a server already runs from {self.root} (process {owner}); end it, or set ML_CONNECTOR_HOME"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def client_environment(home: Home, api_url: str) -> dict[str, str]:
    """Settings of everything that talks to the server: worker, flow runs, commands; holds no encryption key."""
    return {
        "ML_CONNECTOR_HOME": str(home.root),
        "ML_CONNECTOR_KEYS_FILE": str(home.keys),
        "ML_CONNECTOR_DATABASE_URL": home.store_url,
        "ML_CONNECTOR_AUDIT_FOLDER": str(home.audit),
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_API_URL": api_url,
        "PREFECT_API_AUTH_STRING": home.login.auth_string,
        # An ephemeral server ends before it has recorded its runs.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home.results),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # Three missed beats are as long as a lease: then the run is called crashed, and its work is free anyway.
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }


def environment(home: Home, api_url: str) -> dict[str, str]:
    """Settings of the server: the client's, plus loopback, login, encryption key, tuned recorder, no telemetry."""
    address = urlsplit(api_url)
    return client_environment(home, api_url) | {
        "PREFECT_SERVER_API_HOST": str(address.hostname),
        "PREFECT_SERVER_API_PORT": str(address.port),
        "PREFECT_SERVER_API_AUTH_STRING": home.login.auth_string,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{address.port},http://localhost:{address.port}",
        "PREFECT_SERVER_ENCRYPTION_KEY": (home.root / "prefect-encryption-key").read_text(encoding="utf-8").strip(),
        "PREFECT_SERVER_UI_API_URL": api_url,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # Cuts the time until all task runs are recorded from half a minute per thousand to a second or two.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        # A run that a delivery has woken while another one is at work looks again this soon, not after half a minute.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
    }


def child_environment(ours: Mapping[str, str], inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child process gets: the caller's environment without its Prefect settings, then ours."""
    inherited = os.environ if inherited is None else inherited
    return {name: value for name, value in inherited.items() if not name.startswith("PREFECT_")} | dict(ours)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"ML_CONNECTOR_HOME: cannot make {folder}: {error.strerror}") from None


def _make_keys(path: Path, store: Path) -> None:
    if not path.exists():
        if store.exists():
            raise ConfigurationError(f"key file {path} is missing, but {store} needs it; restore it from its backup")
        # Another first start may be quicker; then its keys are the keys.
        with suppress(ConfigurationError):
            Keys.create(path)
    Keys.load(path)


def _secret(path: Path, make: Callable[[], str], *, needed_by: Path | None = None) -> str:
    if not path.exists():
        if needed_by is not None and needed_by.exists():
            raise ConfigurationError(f"{path} is missing, but {needed_by} needs it; restore it from its backup")
        _write_once(path, make())
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"{path} is open to other users; run: chmod 600 '{path}'")
    return path.read_text(encoding="utf-8").strip()


def _write_once(path: Path, content: str) -> None:
    """Two first starts at once agree on one content: linking a finished draft either makes the whole file or fails."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(content + "\n")
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _new_login() -> str:
    return f"{USER}:{secrets.token_urlsafe(18)}"


def _new_fernet_key() -> str:
    return Fernet.generate_key().decode()
