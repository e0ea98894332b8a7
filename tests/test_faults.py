"""The list of faults is in step with library and tests; `make faults` tries whether they are caught."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import faults
import pytest
from faults import ROOT, Fault

FAULTS = faults.read()


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_there_are_thirty_faults_of_different_names() -> None:
    assert len(FAULTS) >= 30
    assert max(Counter(fault.id for fault in FAULTS).values()) == 1
    assert sum(fault.study for fault in FAULTS) <= 4
    assert all(fault.harm.endswith(".") for fault in FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_can_be_tried(fault: Fault) -> None:
    text = (ROOT / faults.LIBRARY / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    altered = text.replace(fault.old, fault.new)
    assert ast.dump(ast.parse(altered)) != ast.dump(ast.parse(text))
    assert fault.tests
    for test in fault.tests:
        file, _, name = test.partition("[")[0].partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or name in functions(ROOT / file), test
