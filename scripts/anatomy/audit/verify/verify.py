"""Whether a study is what its records say: digests and numbers recomputed, every difference named.

What is trusted is the ledger's root alone, as the paper prints it, or as the reader knows it from
elsewhere. Under it lie the records that the study had when its paper was set (``ledger.history``); the
files, code and settings that are there now are compared with these. A difference that changes nothing (a
comment, a file's time) is none.
"""

from anatomy.audit.provenance import Trail
from anatomy.audit.verify.comparison import Comparison, Resolver
from anatomy.audit.verify.files import check_files, check_sources
from anatomy.audit.verify.finding import Verdict
from anatomy.audit.verify.numbers import check_numbers, check_paper
from anatomy.audit.verify.records import check_missing_records, check_records
from anatomy.audit.verify.settings import check_code, check_config, check_environment

_CHECKS = (
    check_records,
    check_missing_records,
    check_files,
    check_sources,
    check_code,
    check_environment,
    check_config,
    check_numbers,
    check_paper,
)
"""In this order: a check keeps silent about what an earlier one has found."""


def verify(
    trail: Trail, name: str | None = None, root: str | None = None, resolve: Resolver | None = None
) -> Verdict:
    """Recompute a study's digests and numbers, or those behind one number, figure or file.

    Args:
        trail: The study.
        name: A number, figure, table or file, as ``Trail.named`` takes it; all of the study without one.
        root: What the ledger's root should be (or how it begins), where it is known from elsewhere.
        resolve: Asks the workflow for the params that it has now; without it, changed settings are found
            and the jobs that they concern are not.

    Returns:
        What differs.

    Raises:
        AnatomyError: There is no ledger, or nothing of this name.
    """
    comparison = Comparison(trail, name, root, resolve)
    for check in _CHECKS:
        check(comparison)
    return comparison.verdict
