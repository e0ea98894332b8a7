"""Which problems are sampled again: those that one of two arms solved and the other did not."""

from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError

if TYPE_CHECKING:
    import pandas as pd


def disagreeing(first: "pd.DataFrame", second: "pd.DataFrame") -> set[str]:
    """Return the problems that one of two arms solved and the other did not, by answer or by derivation.

    first, second: tables 'counts' of the same problems (else AnatomyError); solved means at least one success
    among n.
    """
    if set(first["problem"]) != set(second["problem"]):
        raise AnatomyError("the two arms' counts are not of the same problems: count both again")
    both = first.merge(second, on="problem", validate="one_to_one")
    found: set[str] = set()
    for target in ("answer", "derivation"):
        solved = [both[f"{target}_{side}"].fillna(0) > 0 for side in ("x", "y")]
        found |= set(both["problem"][solved[0] != solved[1]])
    return found
