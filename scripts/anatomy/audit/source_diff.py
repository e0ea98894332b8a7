"""What differs between two versions of a value, a file of settings or a source, said in a few words."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from anatomy.audit.words import short


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Return where two values of plain JSON differ, as ``key.key: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines: list[str] = []
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{place}.{key}" if place else str(key)
            if key not in new or key not in old:
                was, now = (short(part[key]) if key in part else "nothing" for part in (old, new))
                lines.append(f"{inner}: {was} -> {now}")
            else:
                lines += differences(old[key], new[key], inner)
        return lines
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for at, (was, now) in pairs for line in differences(was, now, f"{place}[{at}]")]
    return [] if old == new and type(old) is type(new) else [f"{place}: {short(old)} -> {short(new)}"]


def changed_values(path: str, old: str, new: str) -> list[str]:
    """Return what differs between two versions of a file of settings."""
    if path.endswith((".yaml", ".yml", ".json")):
        try:
            before, after = yaml.safe_load(old), yaml.safe_load(new)
            return differences(before, after) or ["comments or layout"]
        except yaml.YAMLError:
            return ["it is not valid any more"]
    if path.endswith(".tsv"):
        return differences(_sheet(old), _sheet(new)) or ["layout"]
    return new_lines(old, new) or ["lines are missing"]


def _sheet(text: str) -> dict[str, dict[str, str]]:
    header, *lines = (line.split("\t") for line in text.splitlines() if line)
    return {line[0]: dict(zip(header, line, strict=False)) for line in lines}


def changed_names(a: str, b: str) -> tuple[str, ...] | None:
    """Return the functions, methods, classes and constants of a module whose meaning differs.

    Comments, docstrings and layout have no meaning. None where a text is not Python.
    """
    try:
        before, after = _defined(a), _defined(b)
    except SyntaxError:
        return None
    return tuple(name for name in {**before, **after} if before.get(name) != after.get(name))


def _defined(text: str) -> dict[str, str]:
    """Return what a module defines, each with its code in one form."""
    definitions: dict[str, str] = {}

    def add(name: str, node: ast.AST) -> None:
        definitions[name] = definitions.get(name, "") + ast.dump(node)

    def visit(body: Iterable[ast.stmt], within: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                add(f"{within}{node.name}()", node)
            elif isinstance(node, ast.ClassDef):
                visit(node.body, f"{within}{node.name}.")
                node.body = [ast.Pass()]
                add(f"{within}{node.name}", node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                add(f"{within}{', '.join(map(ast.unparse, targets))}", node)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                add("imports", node)
            elif not _mute(node):
                add(f"{within}statements", node)

    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and not isinstance(node, ast.Module):
            node.body = [line for line in body if not _mute(line)] or [ast.Pass()]  # type: ignore[attr-defined]
    visit(tree.body, "")
    return definitions


def _mute(node: ast.AST) -> bool:
    """Whether a statement is a string that stands alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def new_lines(old: str, new: str) -> list[str]:
    """Return the lines of a text that an older version of it does not have, cut to 100 signs."""
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line[2:].strip()[:100] for line in lines if line.startswith("+ ")]
