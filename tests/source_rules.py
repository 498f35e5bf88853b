"""Which names a module uses, through every alias; and which of them a rule forbids there."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Names (and all below them) that only the rooms of `allowed` may use."""

    why: str
    names: frozenset[str]
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A dotted name that a module uses, and where."""

    name: str
    line: int


def breaches(source: str, module: str, rules: tuple[Rule, ...]) -> list[str]:
    """Return "line: name (why)" for each use that a rule forbids in `module`."""
    return [
        f"{use.line}: {use.name} ({rule.why})"
        for use in uses(source)
        for rule in rules
        if is_within(use.name, rule.names) and not is_within(module, rule.allowed)
    ]


@cache
def uses(source: str) -> tuple[Use, ...]:
    """Return what a module imports, and each dotted name it uses, under its real name."""
    tree = ast.parse(source)
    real_names = dict(_imported_names(tree))
    return tuple(use for node in ast.walk(tree) for use in _uses_of(node, real_names))


def is_within(name: str, names: frozenset[str]) -> bool:
    """Tell whether a dotted name is one of `names` or lies below one."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in names for end in range(1, len(parts) + 1))


def module_name(path: Path) -> str:
    """Return `fhirbridge.store.engine` for its file, and a room's own name for its __init__."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _uses_of(node: ast.AST, real_names: dict[str, str]) -> Iterator[Use]:
    match node:
        case ast.Import():
            yield from (Use(name=alias.name, line=node.lineno) for alias in node.names)
        case ast.ImportFrom(module=str(module)):
            names = (f"{module}.{alias.name}" for alias in node.names)
            yield from (Use(name=name, line=node.lineno) for name in names)
        case ast.Attribute() | ast.Name():
            name = _dotted(node, real_names)
            if name:
                yield Use(name=name, line=node.lineno)
        case ast.keyword(arg="shell", value=ast.Constant(value=False)):
            return
        case ast.keyword(arg="shell"):
            yield Use(name="shell=", line=node.lineno)


def _dotted(node: ast.expr, real_names: dict[str, str]) -> str:
    """Return the real name, as `datetime.datetime.now` where `dt` is datetime's alias, else ""."""
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, real_names)
        return f"{owner}.{node.attr}" if owner else ""
    if isinstance(node, ast.Name):
        if node.id in BUILTINS:
            return node.id
        return real_names.get(node.id, "")
    return ""
