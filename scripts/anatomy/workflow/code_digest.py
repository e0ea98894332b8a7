"""What a job's result depends on: its inputs by content, and the code that it can reach."""

import ast
import atexit
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from anatomy import paths
from anatomy.errors import AnatomyError
from anatomy.storage import atomic, parquet

_LIBRARY = paths.LIBRARY
_MOST = 5000
"""Facts that are kept; with more, most are of sources that are not there any more."""
_known: dict[str, Any] = {}
"""What was found of sources, by their content."""


def remember(path: Path) -> None:
    """Take what is known of sources from a file, and keep there what this process finds: it takes a second.

    A file that cannot be read or written is done without.
    """
    with suppress(OSError, ValueError, TypeError):
        _known.update(json.loads(path.read_text(encoding="utf-8")))
    before = len(_known)

    def keep() -> None:
        if len(_known) > before:
            new = _known if len(_known) <= _MOST else dict(list(_known.items())[before:])
            with suppress(OSError), atomic.atomic(path) as partial:
                partial.write_text(json.dumps(new), encoding="utf-8")

    atexit.register(keep)


@cache
def _meaning(source: str) -> str:
    """Return code without what cannot change a result: comments, layout, docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        # A string that stands alone does nothing, wherever it stands (docstrings of fields too).
        body[:] = [
            line
            for line in body
            if not (
                isinstance(line, ast.Expr)
                and isinstance(line.value, ast.Constant)
                and isinstance(line.value.value, str)
            )
        ] or [ast.Pass()]
    return ast.dump(tree)


def same_meaning(first: str, second: str) -> bool:
    """Whether two sources do the same: they differ in comments, layout and docstrings at most."""
    try:
        return _meaning(first) == _meaning(second)
    except SyntaxError:
        return False


class Import(NamedTuple):
    """An import in a source file: ``from module import names``, or ``import module``."""

    module: str
    names: tuple[str, ...]
    loads: bool
    """Whether it is carried out when the file is loaded, not later by a function."""


@cache
def _imports(source: str) -> tuple[Import, ...]:
    """Return all imports of a source file, but relative ones."""
    key = f"imports {hashlib.sha256(source.encode()).hexdigest()}"
    if key not in _known:
        tree, imports = ast.parse(source), []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports += [Import(alias.name, (), node in tree.body) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imports.append(
                    Import(node.module, tuple(alias.name for alias in node.names), node in tree.body)
                )
        _known[key] = imports
    return tuple(Import(module, tuple(names), loads) for module, names, loads in _known[key])


def _candidates(imports: Iterable[Import]) -> Iterator[str]:
    """Yield the names that modules of the library may have which are imported."""
    for module, names, _ in imports:
        package = module.partition(".")[2]
        if module == "anatomy":
            yield from names
        elif module.startswith("anatomy."):
            # What is imported may be a name of the module, or a module of the package.
            yield from (package, *(f"{package}.{name}" for name in names))


@cache
def modules(script: Path) -> tuple[Path, ...]:
    """Return a script and the library's modules that it can reach through its imports, sorted."""
    modules, todo = {script.resolve()}, [script.resolve()]
    while todo:
        for name in _candidates(_imports(todo.pop().read_text(encoding="utf-8"))):
            module = (_LIBRARY / name.replace(".", "/")).with_suffix(".py")
            if module.exists() and module not in modules:
                modules.add(module)
                todo.append(module)
    return tuple(sorted(modules))


def foreign(script: Path) -> list[Import]:
    """Return the imports of others' packages in all code that a script can reach, sorted."""
    ours = {"anatomy", *(path.stem for path in script.parent.glob("*.py")), *sys.stdlib_module_names}
    imports = (each for path in modules(script) for each in _imports(path.read_text(encoding="utf-8")))
    return sorted({each for each in imports if each.module.partition(".")[0] not in ours})


def _called(path: Path) -> str:
    return str(path.relative_to(_LIBRARY)) if path.is_relative_to(_LIBRARY) else path.name


@cache
def code(script: Path) -> str:
    """Return a digest of the meaning of a script and of every library module that it can reach."""
    sources = [(_called(path), path.read_text(encoding="utf-8")) for path in modules(script)]
    key = f"code {hashlib.sha256(repr(sources).encode()).hexdigest()}"
    if key not in _known:
        digest = hashlib.sha256()
        for name, source in sources:
            digest.update(name.encode() + _meaning(source).encode())
        _known[key] = digest.hexdigest()
    return str(_known[key])


def content(path: Path) -> str:
    """Return a digest of a file's content, or of a model folder's: cheap for our own large files.

    Raises:
        FileNotFoundError: There is nothing yet.
    """
    if path.is_dir():
        manifests = sorted(path.rglob("manifest.json"))
        if not manifests:
            raise FileNotFoundError(path)
        return hashlib.sha256(b"".join(file.read_bytes() for file in manifests)).hexdigest()
    if path.suffix == ".parquet":
        return parquet.identity(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(scripts: Iterable[Path], inputs: Iterable[Path]) -> str:
    """Return one digest of the code that scripts can reach and of the inputs' content, in their order.

    An input that is not there yet counts as such: the job that needs it is then to run in any case.
    """
    digest = hashlib.sha256("".join(map(code, scripts)).encode())
    for path in inputs:
        try:
            digest.update(content(path).encode())
        except (FileNotFoundError, AnatomyError):
            # A broken table is refused by the job that reads it, with its name.
            digest.update(b"absent")
    return digest.hexdigest()
