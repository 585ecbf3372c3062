"""Where this installation keeps its state: one home folder, one database, one key file outside that database."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_connector.errors import ConfigurationError


class Settings(BaseSettings):
    """Read from the environment, each name with the prefix `ML_CONNECTOR_`."""

    model_config = SettingsConfigDict(env_prefix="ML_CONNECTOR_", frozen=True)

    home: Path = Field(default=Path(".ml-connector"), description="Folder for local state, logs and keys.")
    database_url: str = Field(default="", repr=False, description="SQLAlchemy URL; empty means SQLite in the home.")
    keys_file: Path | None = Field(default=None, description="Key file; empty means keys.json in the home.")
    audit_folder: Path | None = Field(default=None, description="Where signed audit checkpoints go, outside the store.")
    clock_shift_s: float = Field(default=0.0, description="Moves the clock of this process; for rehearsals only.")

    @property
    def store_url(self) -> str:
        """The database to use, with an async driver."""
        url = self.database_url or f"sqlite+aiosqlite:///{(self.home / 'ml-connector.db').absolute()}"
        drivers = {
            "sqlite:": "sqlite+aiosqlite:",
            "postgresql:": "postgresql+asyncpg:",
            "postgres:": "postgresql+asyncpg:",
        }
        for plain, with_driver in drivers.items():
            if url.startswith(plain):
                return with_driver + url[len(plain) :]
        if not url.startswith(("sqlite+aiosqlite:", "postgresql+asyncpg:")):
            raise ConfigurationError("ML_CONNECTOR_DATABASE_URL must begin with sqlite: or postgresql:")
        return url

    @property
    def keys_path(self) -> Path:
        """The key file."""
        return self.keys_file or self.home / "keys.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of signed audit checkpoints."""
        return self.audit_folder or self.home / "audit"
