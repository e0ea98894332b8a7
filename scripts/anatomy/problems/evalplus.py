"""HumanEval+ and MBPP+ (EvalPlus) as problems with tests."""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.grading.code_tests import Compare, Tests
from anatomy.problems.code_record import Problem, Record

# EvalPlus ---------------------------------------------------------------------------------------------


def of_evalplus(
    record: Record, compare: Compare, canonical: str, restore: Callable[[list[Any]], Any] = tuple
) -> tuple[Tests, str | None]:
    """Return a record's tests, and the program that gives their results where these are not published."""
    if "test" in record.fields and "base_input" not in record.fields:
        entry_point, inputs, expected, atol = _test_code(record)
        entry_point = entry_point or record.filled("entry_point")
    else:
        entry_point, expected, atol = record.filled("entry_point"), None, record.get("atol")
        inputs = [*record.get("base_input"), *record.get("plus_input")]  # an empty one may be an object
        if not isinstance(atol, int | float) or not 0 <= atol < math.inf:
            raise record.error("atol", f"is no tolerance but {atol!r:.80}")
        try:
            inputs = [restore(given) if isinstance(given, list) else given for given in inputs]
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise record.error("base_input", f"or 'plus_input' has other arguments: {error}") from error
    if not inputs:
        raise AnatomyError(f"{record.where}: there are no tests")
    if not all(isinstance(given, list | tuple) for given in inputs):
        raise record.error("test" if "test" in record.fields else "base_input", "holds no lists of arguments")
    tests = Tests(entry_point, tuple(map(tuple, inputs)), tuple(expected or ()), float(atol), compare=compare)
    return tests, canonical if expected is None else None


def of_humaneval(record: Record) -> Problem:
    """Return a record of HumanEval+ as a problem.

    Raises:
        AnatomyError: A field is missing, or not as EvalPlus has it.
    """
    prompt = record.filled("prompt")
    solution = prompt + record.filled("canonical_solution")
    try:
        body = ast.parse(solution).body
    except (SyntaxError, ValueError) as error:
        raise record.error("canonical_solution", f"after the prompt is no Python: {error}") from error
    imports = [ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    tests, canonical = of_evalplus(record, "evalplus-humaneval", solution)
    # The prompt's imports are no part of what a model has to give; EvalPlus wants them said again.
    tests = replace(tests, prelude="".join(f"{line}\n" for line in imports))
    return Problem(record, record.filled("task_id"), prompt.strip(), solution, tests, canonical=canonical)


def of_mbpp(record: Record) -> Problem:
    """Return a record of MBPP+ as a problem.

    Raises:
        AnatomyError: A field is missing, or not as EvalPlus has it.
    """
    number = str(record.get("task_id")).rpartition("/")[2]
    if not number.isdecimal():
        raise record.error("task_id", f"has no number: {record.get('task_id')!r:.80}")
    prompt = record.filled("prompt").strip()
    if "canonical_solution" in record.fields:
        solution = record.filled("canonical_solution")
    else:  # on the hub: MBPP's own text, of which EvalPlus makes a docstring with the first assertion
        solution, asserts = record.filled("code"), record.get("test_list")
        if not isinstance(asserts, list) or not asserts:
            raise record.error("test_list", f"has no assertion: {asserts!r:.80}")
        prompt = f'"""\n{prompt}\n{asserts[0]}\n"""'
    tests, canonical = of_evalplus(record, "evalplus-mbpp", solution, _RESTORED.get(int(number), tuple))
    return Problem(record, f"Mbpp/{number}", prompt, solution, tests, canonical=canonical)


def _tuples(value: Any, depth: int) -> Any:
    """Make tuples of the lists ``depth`` levels down."""
    return tuple(value) if depth == 0 else [_tuples(item, depth - 1) for item in value]


def _all_tuples(value: Any) -> Any:
    return tuple(map(_all_tuples, value)) if isinstance(value, list) else value


# JSON has made lists of MBPP's tuples and sets, and texts of its complex numbers: what each problem's
# arguments were, by its number (as evalplus 0.3.1 restores them).
_RESTORED: Mapping[int, Callable[[list[Any]], Any]] = {
    number: restore
    for numbers, restore in (
        (
            "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
            lambda given: _tuples(given, 1),
        ),
        ("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780", lambda given: _tuples(given, 2)),
        ("75 413 444 753", lambda given: [_tuples(given[0], 1), given[1]]),
        ("106 750", lambda given: [given[0], tuple(given[1])]),
        ("115", lambda given: [[set(item) if isinstance(item, list) and item else {} for item in given[0]]]),
        ("124", lambda given: [float(given[0]), complex(given[1])]),
        ("250 307 405 446 617 720 763 808", lambda given: [tuple(given[0]), *given[1:]]),
        ("252", lambda given: [complex(given[0])]),
        ("259 401 445", lambda given: [tuple(_tuples(argument, 1)) for argument in given]),
        (
            "278",
            lambda given: [tuple(tuple(item) if isinstance(item, list) else item for item in given[0])],
        ),
        ("580 615 791", lambda given: list(map(_all_tuples, given))),
        ("722", lambda given: [{key: tuple(item) for key, item in given[0].items()}, *given[1:]]),
    )
    for number in map(int, numbers.split())
}


class _Literals(ast.NodeTransformer):
    """Makes literals of what Python writes for values that have none: infinities, nan and counters."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name("Counter"), [], []):
                return ast.Dict([], [])
            case ast.Call(ast.Name("Counter"), [ast.Dict() as counted], []):
                return counted
            case ast.Call(ast.Name("float"), [ast.Constant(str(number))], []):
                return ast.Constant(float(number))
        return node


def _test_code(record: Record) -> tuple[str | None, list[Any], list[Any] | None, float]:
    """Read the code in which EvalPlus's sets on the hub hold their tests, without running it.

    Returns the function under test where the code names it, inputs, results where they stand there, and the
    tolerance.
    """
    values: dict[str, Any] = {}
    entry_point, atol = None, 0.0
    try:
        for node in ast.walk(ast.parse(record.filled("test"))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id in ("inputs", "results"):
                    values[node.targets[0].id] = ast.literal_eval(_Literals().visit(node.value))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "assertion":
                called, _, tolerance = node.args
                atol = float(ast.literal_eval(tolerance))
                inner = next(
                    n.func.id for n in ast.walk(called)
                    if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id != "set"
                )  # fmt: skip
                entry_point = None if inner == "candidate" else inner
            elif isinstance(node, ast.Assert) and "_poly" in ast.unparse(node.test):  # find_zero's oracle
                atol = float(ast.literal_eval(getattr(node.test, "comparators", [None])[0]))
        inputs, results = values["inputs"], values.get("results")
    except KeyError as error:
        raise record.error("test", "assigns no 'inputs'") from error
    except (SyntaxError, ValueError, TypeError, StopIteration, RecursionError, MemoryError) as error:
        raise record.error("test", f"is not written as EvalPlus's tests are: {error}") from error
    if results is not None and len(results) != len(inputs):
        raise record.error("test", f"has {len(inputs)} inputs and {len(results)} results")
    return entry_point, inputs, results, atol
