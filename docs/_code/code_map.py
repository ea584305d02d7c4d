"""Folders, public names and errors, read from the sources without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("orchestrator", "trials", "search_space", "results")
BASE_ERROR = "ShrinksweepError"


@dataclass(frozen=True)
class PublicName:
    """A name that a folder exports."""

    package: str
    """The package with the shortest path that exports it, such as ``results``."""
    name: str
    module: str
    """The module that defines it, such as ``results.pareto.pareto``."""
    summary: str
    """First line of its docstring; empty if it has none."""

    @property
    def path(self) -> str:
        """Path to import it from."""
        return f"{self.package}.{self.name}"

    @property
    def identifier(self) -> str:
        """Path by which mkdocstrings finds it: ``path``, or that of its definition where a module bears the name."""
        return f"{self.module}.{self.name}" if _file(self.path).exists() else self.path

    @property
    def folder(self) -> str:
        """Package of the module that defines it."""
        return self.module if _file(self.module).name == "__init__.py" else self.module.rpartition(".")[0]


@dataclass(frozen=True)
class Error:
    """A class of exceptions."""

    name: str
    module: str
    bases: tuple[str, ...]
    meaning: str


def packages(room: str) -> list[str]:
    """Return a room and the folders in it, as packages in alphabetical order."""
    files = sorted((ROOT / room).rglob("__init__.py"))
    return [".".join(file.parent.relative_to(ROOT).parts) for file in files]


def docstring(module: str) -> str:
    """Return the docstring of a module or package."""
    return ast.get_docstring(_tree(_file(module))) or ""


def public_names(room: str) -> dict[str, list[PublicName]]:
    """Return the public names of a room by the folder that defines them, each name once."""
    found: dict[tuple[str, str], PublicName] = {}
    for package in sorted(packages(room), key=lambda package: (package.count("."), package)):
        for name, module in _exported(package):
            found.setdefault((module, name), PublicName(package, name, module, _summary(module, name)))
    folders: dict[str, list[PublicName]] = {package: [] for package in packages(room)}
    for one in found.values():
        folders[one.folder].append(one)
    return {folder: names for folder, names in folders.items() if names}


def errors() -> list[Error]:
    """Return all classes of exceptions, in the order of the sources; the base of all is the first."""
    files = [
        ROOT / "shrinksweep.py",
        *(file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))),
    ]
    classes = {
        node.name: Error(node.name, _module(file), _bases(node), ast.get_docstring(node) or "")
        for file in files
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.ClassDef)
    }
    return [one for one in classes.values() if _is_exception(one.name, classes)]


def _is_exception(name: str, classes: Mapping[str, Error]) -> bool:
    if name in classes:
        return any(_is_exception(base, classes) for base in classes[name].bases)
    return name.endswith(("Error", "Exception")) or name in ("KeyboardInterrupt", "SystemExit")


def _bases(node: ast.ClassDef) -> tuple[str, ...]:
    return tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)


def _exported(package: str) -> Iterator[tuple[str, str]]:
    """Yield each name that a package exports, and the module that defines it."""
    file = _file(package)
    stub = file.with_suffix(".pyi")
    for node in _tree(stub if stub.exists() else file).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            module = f"{package}.{node.module}" if node.level else node.module
            if module.partition(".")[0] in ROOMS:
                for alias in node.names:
                    yield alias.asname or alias.name, _definition(module, alias.name)


def _definition(module: str, name: str) -> str:
    """Return the module that defines a name, which another module may import from it."""
    for node in _tree(_file(module)).body:
        if not isinstance(node, ast.ImportFrom) or (node.module or "").partition(".")[0] not in ROOMS:
            continue
        if any((alias.asname or alias.name) == name for alias in node.names):
            return _definition(str(node.module), name)
    return module


def _summary(module: str, name: str) -> str:
    body = _tree(_file(module)).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        if name in _assigned(node) and isinstance(following, ast.Expr):
            return str(ast.literal_eval(following.value)).partition("\n")[0]
    return ""


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
