"""The local home: what a first start makes, what a later one refuses, what processes are told."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployments.home import Home, child_environment, client_environment, environment
from ml_connector.errors import ConfigurationError
from ml_connector.settings import Settings
from ml_connector.store.crypto import Keys

API = "http://127.0.0.1:4321/api"
SECRET_FILES = ("keys.json", "server-login", "prefect-encryption-key")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "a home")


def test_only_the_owner_can_read_what_a_first_start_makes(settings: Settings) -> None:
    home = Home.open(settings)
    for folder in (home.root, home.logs, home.results, home.root / "prefect"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in SECRET_FILES:
        assert stat.S_IMODE((home.root / name).stat().st_mode) == 0o600


def test_a_later_start_finds_the_same_login_and_keys(settings: Settings) -> None:
    first = environment(Home.open(settings), API)
    sealed = Keys.load(settings.keys_path).seal(b"text", about="x", schema="s", version=1)
    assert environment(Home.open(settings), API) == first
    assert Keys.load(settings.keys_path).open(sealed, about="x") == b"text"


def test_two_homes_have_different_logins(tmp_path: Path) -> None:
    one, other = (Home.open(Settings(home=tmp_path / name)) for name in ("one", "other"))
    assert one.login.password != other.login.password
    assert len(one.login.password) >= 24


def test_many_first_starts_at_once_agree(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        homes = list(pool.map(lambda _: Home.open(settings), range(8)))
    assert len({home.login.auth_string for home in homes}) == 1
    assert not [left for left in settings.home.iterdir() if left.name.startswith(".")]


@pytest.mark.parametrize("name", SECRET_FILES)
def test_a_secret_open_to_others_is_refused_with_the_remedy(settings: Settings, name: str) -> None:
    Home.open(settings)
    (settings.home / name).chmod(0o644)
    with pytest.raises(ConfigurationError, match=rf"{name}.* is open to other users; run: chmod 600"):
        Home.open(settings)


@pytest.mark.parametrize(
    ("key", "database"), [("keys.json", "ml-connector.db"), ("prefect-encryption-key", "prefect/prefect.db")]
)
def test_a_lost_key_is_never_replaced_while_its_database_is_there(settings: Settings, key: str, database: str) -> None:
    Home.open(settings)
    (settings.home / database).touch()
    (settings.home / key).unlink()
    with pytest.raises(ConfigurationError, match="restore it from its backup"):
        Home.open(settings)
    assert not (settings.home / key).exists()


def test_a_home_that_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="ML_CONNECTOR_HOME: cannot make"):
        Home.open(Settings(home=tmp_path / "file" / "home"))


def test_a_home_serves_one_server_at_a_time(settings: Settings) -> None:
    home = Home.open(settings)
    refused = pytest.raises(ConfigurationError, match=r"a server already runs from .* \(process \d+\)")
    with home.held(), refused, home.held():
        pass
    with home.held():
        pass


def test_prefect_understands_every_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(settings)
    for name, value in environment(home, API).items():
        monkeypatch.setenv(name, value)
    from prefect.settings import Settings as PrefectSettings

    understood = PrefectSettings()
    recorder = understood.server.services.task_run_recorder
    assert (recorder.batch_size, recorder.read_batch_size, recorder.flush_interval) == (100, 100, 1.0)
    assert (understood.server.api.host, understood.server.api.port) == ("127.0.0.1", 4321)
    assert understood.server.api.auth_string is not None
    assert understood.server.api.auth_string.get_secret_value() == home.login.auth_string
    assert understood.server.api.cors_allowed_origins == "http://127.0.0.1:4321,http://localhost:4321"
    assert understood.server.ui.api_url == API
    assert understood.server.ui.show_promotional_content is False
    assert understood.server.analytics_enabled is False
    assert understood.server.ephemeral.enabled is False
    assert understood.server.logging_level == "WARNING"
    assert understood.api.url == API
    assert understood.api.auth_string is not None
    assert understood.api.auth_string.get_secret_value() == home.login.auth_string
    assert understood.home == home.root / "prefect"
    assert understood.results.local_storage_path == home.results
    assert understood.worker.query_seconds == 1
    assert understood.cli.prompt is False


def test_flows_and_workers_never_hold_the_encryption_key(settings: Settings) -> None:
    home = Home.open(settings)
    key = (home.root / "prefect-encryption-key").read_text().strip()
    assert environment(home, API)["PREFECT_SERVER_ENCRYPTION_KEY"] == key
    assert key not in client_environment(home, API).values()


def test_paths_stay_true_in_a_process_that_stands_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = client_environment(Home.open(Settings(home=Path("home"))), API)
    assert told["ML_CONNECTOR_HOME"] == str(tmp_path / "home")
    assert told["ML_CONNECTOR_KEYS_FILE"] == str(tmp_path / "home" / "keys.json")
    assert told["ML_CONNECTOR_DATABASE_URL"] == f"sqlite+aiosqlite:///{tmp_path / 'home' / 'ml-connector.db'}"


def test_a_childs_prefect_settings_are_ours_alone() -> None:
    inherited = {"PATH": "/bin", "PREFECT_API_KEY": "of another server", "PREFECT_HOME": "/elsewhere"}
    assert child_environment({"PREFECT_HOME": "/ours"}, inherited) == {"PATH": "/bin", "PREFECT_HOME": "/ours"}


def test_a_repr_shows_no_secret(tmp_path: Path) -> None:
    home = Home.open(Settings(home=tmp_path / "home", database_url="postgresql://user:canary@localhost/store"))
    assert home.login.password not in repr(home)
    assert "canary" not in repr(home)
