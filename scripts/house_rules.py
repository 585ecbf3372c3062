"""House rules that no ready-made linter knows: prints one line per offence and ends with 1 when there is any."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

THIN = ("flows", "tasks", "blocks", "deployments")
PRODUCT = (*THIN, "ml_connector", "sandbox")
PYTHON = (*PRODUCT, "tests", "benchmarks", "scripts")
EXACT_MONEY = ("ml_connector/domain/", "ml_connector/pairs/")
DOCUMENTED = ("flows", "tasks", "blocks", "ml_connector")
MAY_PRINT = ("deployments", "sandbox")
MOST_LINES = 400
TEXT = {".py", ".md", ".toml", ".sh", ".yaml", ".yml", ".json", ".lock", ".txt", ".cfg", ".ini", ""}
LEFT_OUT = {".git", ".venv", ".ml-connector", "__pycache__", "dist", "node_modules"}
CACHES = ("_cache", ".egg-info", ".hypothesis")

# Each pattern is spelled so that it does not find itself.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")
FORBIDDEN = re.compile(
    r"py[p]i\.(?:org|python)|python[h]osted|registry\.np[m]js|deb\.deb[i]an|proxy\.gola[n]g"
    r"|(?<![\w.-])/(?:wor[k]|opt/py[p]i|opt/wheel[s]|tmp/brie[f])/"
    r"|\bcla[u]de\b|\bchat[g]pt\b|\bcopi[l]ot\b|\blanguage mode[l]s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Offence:
    """One broken rule at one place."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Module:
    """A Python file, parsed; `path` is relative to the project, with forward slashes."""

    path: str
    source: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The top-level folder."""
        return self.path.split("/", 1)[0]

    def offence(self, node: ast.AST | None, text: str) -> Offence:
        """An offence at the node's line, or at the top of the file."""
        return Offence(self.path, getattr(node, "lineno", 1), text)


Rule = Callable[[Module], Iterator[Offence]]


def size(module: Module) -> Iterator[Offence]:
    """Product modules stay readable in one sitting."""
    lines = module.source.count("\n")
    if module.room in PRODUCT and lines > MOST_LINES:
        yield module.offence(None, f"{lines} lines, more than {MOST_LINES}: split the module")


def printing(module: Module) -> Iterator[Offence]:
    """Only what talks to a terminal prints."""
    if module.room in MAY_PRINT or module.room not in PRODUCT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield module.offence(node, "print() outside deployments and sandbox: use the logger")


def exact_numbers(module: Module) -> Iterator[Offence]:
    """Amounts and quantities are Decimal."""
    if not module.path.startswith(EXACT_MONEY):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield module.offence(node, f"float literal {node.value}: use Decimal")


def absolute_imports(module: Module) -> Iterator[Offence]:
    """An import reads the same wherever it stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield module.offence(node, "relative import: write the whole path")


def no_blocking_sleep(module: Module) -> Iterator[Offence]:
    """A sleeping thread holds up every record; waits go through a clock or an event."""
    for node in ast.walk(module.tree):
        dotted = isinstance(node, ast.Attribute) and node.attr == "sleep" and _is_name(node.value, "time")
        named = isinstance(node, ast.ImportFrom) and node.module == "time" and "sleep" in {a.name for a in node.names}
        if dotted or named:
            yield module.offence(node, "time.sleep blocks: wait on the clock or an event")


def docstrings(module: Module) -> Iterator[Offence]:
    """Modules say their job; public functions and classes say theirs in a sentence."""
    if module.room not in PRODUCT or not module.tree.body:
        return
    if ast.get_docstring(module.tree) is None:
        yield module.offence(None, "module docstring missing")
    if module.room not in DOCUMENTED:
        return
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            yield module.offence(node, f"{node.name} is public and has no docstring")


def safe_names(module: Module) -> Iterator[Offence]:
    """A flow loaded by file puts its folder on the import path, where a file named like a library hides it."""
    path = Path(module.path)
    nested_engine = module.room == "ml_connector" and len(path.parts) > 2
    if module.room not in (*THIN, "ml_connector") or nested_engine or path.stem.startswith("__"):
        return
    if path.stem in _taken_names():
        yield module.offence(None, f"file name hides the package {path.stem}: choose another")


RULES: tuple[Rule, ...] = (
    size,
    printing,
    exact_numbers,
    absolute_imports,
    no_blocking_sleep,
    docstrings,
    safe_names,
)


def check_python(root: Path) -> Iterator[Offence]:
    """All rules over every Python file of the project."""
    for folder in PYTHON:
        for file in sorted((root / folder).rglob("*.py")):
            source = file.read_text(encoding="utf-8")
            module = Module(file.relative_to(root).as_posix(), source, ast.parse(source, str(file)))
            for rule in RULES:
                yield from rule(module)


def check_text(root: Path) -> Iterator[Offence]:
    """Unfinished work and words that do not belong in the project, in every text file."""
    for file in _text_files(root):
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for pattern, what in ((UNFINISHED, "unfinished work"), (FORBIDDEN, "not for this project")):
                if hit := pattern.search(line):
                    yield Offence(file.relative_to(root).as_posix(), number, f"{what}: {hit.group()}")


def main(root: Path) -> int:
    """Print every offence under the folder; 0 when there is none, else 1."""
    offences = [*check_python(root), *check_text(root)]
    for offence in offences:
        sys.stdout.write(f"{offence}\n")
    sys.stdout.write(f"house rules: {len(offences)} offences\n" if offences else "house rules: kept\n")
    return 1 if offences else 0


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _taken_names() -> set[str]:
    return {*sys.stdlib_module_names, *packages_distributions(), *PYTHON}


def _text_files(root: Path) -> Iterator[Path]:
    for entry in sorted(root.iterdir()):
        if entry.name in LEFT_OUT or entry.name.endswith(CACHES):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _text_files(entry)
        elif entry.is_file() and entry.suffix in TEXT:
            yield entry


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()))
