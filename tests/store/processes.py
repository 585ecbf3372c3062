"""Work that tests run in processes of their own: `python processes.py <task> <database url> <folder>`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_connector.clock import SystemClock
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.migrate import upgrade
from ml_connector.store.vault import Vault

SLOT = "qad:main"


def text_vault(db: Database, keys: Keys, clock: Any) -> Vault[str]:
    """A vault whose tokens are plain texts."""

    def decode(content: Mapping[str, Any]) -> str:
        return str(content["text"])

    return Vault(db, keys, clock, encode=lambda token: {"text": token}, decode=decode)


async def renew(db: Database, folder: Path) -> None:
    """Four tasks that all find the same token stale; each minting leaves a line in `minted`."""
    vault = text_vault(db, Keys.load(folder / "keys.json"), SystemClock())

    async def mint(current: str | None) -> str:
        with (folder / "minted").open("a") as file:
            file.write(f"{current}\n")
        await asyncio.sleep(0.3)
        return "fresh"

    tokens = await asyncio.gather(*(vault.renew(SLOT, "stale", mint) for _ in range(4)))
    say(" ".join(tokens))


async def hang(db: Database, folder: Path) -> None:
    """Claim the renewal, say so, and never come back."""
    vault = text_vault(db, Keys.load(folder / "keys.json"), SystemClock())

    async def mint(_current: str | None) -> str:
        say("minting")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    await vault.renew(SLOT, "stale", mint)


async def migrate(db: Database, _folder: Path) -> None:
    """Bring the store to the current shape."""
    await upgrade(db)
    say("migrated")


def say(text: str) -> None:
    """Tell the test."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def start(task: str, db: Database, folder: Path) -> asyncio.subprocess.Process:
    """Start a task in a new process on the same database."""
    return await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), task, db.url, str(folder), stdout=asyncio.subprocess.PIPE
    )


async def finish(process: asyncio.subprocess.Process) -> str:
    """What the process said, after it ended well."""
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return said.decode().strip()


async def _main(task: str, url: str, folder: str) -> None:
    db = Database(url)
    await {"renew": renew, "hang": hang, "migrate": migrate}[task](db, Path(folder))
    await db.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
