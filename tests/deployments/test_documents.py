"""What the documents tell people to type exists: every command of ours and every option of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from deployments import cli
from deployments.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# In a line of a shell, or between backticks; a backslash carries a line on.
TYPED = re.compile(r"(?<![-\w/])(?:\.venv/bin/)?ml-connector ((?:[^`\n#;\\]|\\\n)+)")


def _unknown(words: list[str]) -> str:
    """What of a command line does not exist; empty when all does."""
    command = typer.main.get_command(app)
    options: set[str] = set()
    for word in words:
        inner = getattr(command, "commands", {})
        if word.startswith("--"):
            options.add(word.partition("=")[0])
        elif word in inner:
            command = inner[word]
        elif command.name in ("ml-connector", "webhooks", "doubt", "audit") and inner and not options:
            return word
        elif inner:
            # `replay RECORD` is `replay record RECORD`.
            command = inner.get("record", command)
    known = {"--help", *(name for one in command.params for name in (*one.opts, *one.secondary_opts))}
    return ", ".join(sorted(options - known))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_the_documents_exists(document: Path) -> None:
    cli.load_commands()
    text = document.read_text()
    # Prose also names the command line, its pool and its housekeeping; a command is what stands in code.
    code = re.findall(r"```sh\n(.*?)```|`([^`]+)`", text, flags=re.DOTALL)
    lines = [found for fence, inline in code for found in TYPED.findall(fence or inline)]
    for line in lines:
        assert not (wrong := _unknown(line.replace("\\\n", " ").split())), f"{document.name}: {line.strip()}: {wrong}"


def test_commands_that_do_not_exist_are_seen() -> None:
    cli.load_commands()
    assert _unknown(["webhook", "add"]) == "webhook"
    assert _unknown(["webhooks", "rotat", "acme"]) == "rotat"
    assert _unknown(["replay", "INV-1", "--recreat"]) == "--recreat"
    assert _unknown(["replay", "INV-1", "--recreate", "--wait"]) == ""
