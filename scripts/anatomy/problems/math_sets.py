r"""Real benchmarks as rows of the table ``problems``.

Publishers name their fields differently and mark answers differently; which field is which stands in the
benchmark sheet (``config/benchmarks.tsv``), and ``Fields`` holds one of its rows.

Answers are kept as published, with three exceptions: a number such as 27.0 becomes 27, since sets store whole
numbers as floats; the delimiters ``$`` around LaTeX go; and an answer published as a list (OlympiadBench) is
split into its entries at commas outside brackets, without what is said about them ("..., where b is any
integer"). Units given in a field of their own are left out: the questions name them.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from anatomy.errors import AnatomyError
from anatomy.grading import code_tests
from anatomy.grading.math_extraction import last_boxed
from anatomy.problems import gsm8k
from anatomy.prompts import chunks, plan_controls
from anatomy.rng import generator

_GZIP = b"\x1f\x8b"
"""How a file compressed by gzip begins."""

AnswerFrom = Literal["field", "boxed", "hashes"]


@dataclass(frozen=True)
class Fields:
    """Names of one set's fields; an empty name means that the set has no such field."""

    question: str
    answer: str
    answer_from: AnswerFrom = "field"
    """``field``: the answer field is the answer; ``boxed``: it ends in a text whose last ``\\boxed{}`` is it;
    ``hashes``: it is what follows ``####`` there, and the text before is the solution."""
    solution: str = ""
    id: str = ""
    """Without one, a problem is named by its position, from 0."""
    difficulty: str = ""
    domain: str = ""

    def __post_init__(self) -> None:
        if self.answer_from not in get_args(AnswerFrom):
            raise AnatomyError(
                f"answer_from is {self.answer_from!r}; allowed are {list(get_args(AnswerFrom))}"
            )
        if not self.question or not (self.answer or (self.answer_from == "boxed" and self.solution)):
            raise AnatomyError("a benchmark needs the names of its fields 'question' and 'answer'")

    @property
    def marked(self) -> str:
        """The field that holds the answer; a boxed answer stands in the solution."""
        return self.answer or self.solution


def _number(value: Any) -> str:
    """Write an answer as text; a whole number without the ``.0`` that it was stored with."""
    return re.sub(r"^([-+]?\d+)\.0+$", r"\1", str(value).strip())


def _entries(text: str) -> list[str]:
    """Split an answer that is one or several expressions at its commas outside brackets."""
    text = re.split(r",?\s+where\b", text.replace("$", ""))[0].strip().rstrip(".")
    entries, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            entries.append("")
        else:
            entries[-1] += character
    return [_number(entry) for entry in entries]


def _answers(value: Any, fields: Fields) -> tuple[list[str], str | None]:
    """Return the gold answers, and the solution that came with them in the same text."""
    if fields.answer_from == "boxed":
        boxed = last_boxed(str(value))
        return ([] if boxed is None else [_number(boxed)]), None
    if fields.answer_from == "hashes":
        solution, mark, answer = str(value).rpartition("####")
        return ([_number(answer)] if mark else []), solution.rstrip()
    if isinstance(value, list | tuple):
        return [entry for text in value for entry in _entries(str(text))], None
    return [_number(value)], None


def _whole(derived: gsm8k.Annotation, answer: str) -> list[dict[str, str]] | None:
    """Return a chain that ends in the problem's answer, by a last link of its own where need be."""
    if derived.subproblems is None or derived.ends:
        return derived.subproblems
    fact = "The answer to the whole problem is {answer}."
    question = "What is the answer to the whole problem?"
    return [*derived.subproblems, {"question": question, "answer": answer, "fact": fact}]


def _field(record: Mapping[str, Any], where: str, name: str) -> Any:
    """Return a field of a record; None where the set has none such."""
    if not name:
        return None
    if name not in record:
        raise AnatomyError(f"{where}: there is no field '{name}'; it has {sorted(record)}")
    return record[name]


def _difficulty(value: Any, where: str) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise AnatomyError(f"{where} is no number: {value!r}") from error


def rows(
    records: Iterable[Mapping[str, Any]], benchmark: str, fields: Fields, origin: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield one row of the table ``problems`` a record.

    A solution published as a list of several (OlympiadBench) is joined with blank lines. ``origin`` (such as
    a file) is named in errors, with the record's number from 1, which is its line in a file.

    Raises:
        AnatomyError: a field is missing, an answer is, a difficulty is no number, or an id is not unique.
    """
    seen: set[str] = set()
    for index, record in enumerate(records):
        where = f"{origin or benchmark}, record {index + 1}"
        field = partial(_field, record, where)
        text = field(fields.question)
        if not isinstance(text, str) or not text.strip():
            raise AnatomyError(f"{where}: field '{fields.question}' is not a question but {text!r}")
        answers, solution = _answers(field(fields.marked), fields)
        if not answers or not all(answers):
            raise AnatomyError(f"{where}: field '{fields.marked}' holds no answer ({fields.answer_from})")
        if fields.solution:
            published = field(fields.solution)
            solution = "\n\n".join(published) if isinstance(published, list | tuple) else published
        problem = str(field(fields.id)) if fields.id else str(index)
        if problem in seen:
            raise AnatomyError(f"{where}: field '{fields.id}' is {problem!r}, the id of an earlier problem")
        seen.add(problem)
        difficulty = _difficulty(field(fields.difficulty), f"{where}: field '{fields.difficulty}'")
        domain = field(fields.domain)
        solution = solution if solution and solution.strip() else None
        derived = None
        if fields.answer_from == "hashes" and solution is not None:
            try:
                derived = gsm8k.annotate(text, solution, answers[0])
            except AnatomyError as error:
                raise AnatomyError(f"{where}: field '{fields.marked}': {error}") from error
        plan = None if derived is None else derived.plan
        yield {
            "problem": problem,
            "benchmark": benchmark,
            "text": text,
            "answers": answers,
            "solution": solution,
            "difficulty": difficulty,
            "domain": None if domain is None else str(domain),
            "plan": plan,
            **plan_controls.of_plan(plan, problem),
            "knowledge": None,
            "knowledge_irrelevant": None,
            "subproblems": derived and _whole(derived, answers[0]),
            "chunks": None if solution is None else chunks.chunks(solution),
            "tests": None,
        }


def local(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file with one JSON object a line, perhaps compressed (gzip).

    Raises:
        AnatomyError: The file cannot be read, or a line is no JSON object; the message names file and line.
    """
    try:
        with Path(path).open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        with (gzip.open if compressed else open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise AnatomyError(f"{path}, line {number}: not JSON: {error}") from error
                if not isinstance(record, dict):
                    raise AnatomyError(f"{path}, line {number}: not a JSON object: {line[:80]!r}")
                yield record
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise AnatomyError(f"{path}: the benchmark cannot be read: {error}") from error


def content_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of problems, texts, answers and tests, one canonical JSON line a row, in order."""
    digest = hashlib.sha256()
    for row in rows:
        content = [row["problem"], row["text"], list(row["answers"])]
        if row.get("tests") is not None:
            content.append(code_tests.unpacked(row["tests"]))
        line = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def check_content(rows: Iterable[Mapping[str, Any]], expected: str, name: str) -> None:
    """Raise AnatomyError unless the rows are those that the benchmark sheet pins."""
    digest = content_digest(rows)
    if digest != expected:
        raise AnatomyError(
            f"benchmark '{name}': its problems or answers are not the pinned ones (sha256 {digest}, expected"
            f" {expected}); use the published set, or change the column 'sha256' of config/benchmarks.tsv"
        )


def side(
    rows: Sequence[Mapping[str, Any]], name: str, size: int, key: Sequence[object]
) -> list[Mapping[str, Any]]:
    """Return the training or the test side of a benchmark, in the benchmark's order.

    All rows are put in one random order, drawn by ``key`` alone: training takes the first ``size`` of it,
    test the last.

    Raises:
        AnatomyError: There are fewer rows than that.
    """
    if size > len(rows):
        raise AnatomyError(f"{len(rows)} problems are too few for a {name} side of {size}")
    order = generator(*key).permutation(len(rows))
    chosen = order[:size] if name == "training" else order[len(rows) - size :]
    return [rows[at] for at in sorted(chosen)]
