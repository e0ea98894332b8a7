"""The audit site: a page for each number, figure and table, each job, each source file, and all completions.

A folder of files that a browser opens from disk: no server, no network, nothing of another origin. The same
study gives the same bytes.
"""

from pathlib import Path

from anatomy.audit.provenance import Trail
from anatomy.audit.site import pages
from anatomy.audit.site.chain_pages import Chains
from anatomy.audit.site.links import Links
from anatomy.audit.site.search import write_search
from anatomy.audit.site.spec import TEMPLATES, Spec
from anatomy.audit.site.writer import Writer


def build(trail: Trail, spec: Spec, out: Path) -> dict[str, int]:
    """Write the site of a finished study.

    Args:
        trail: The study.
        spec: What its settings say of the site.
        out: The site's folder, which is there.

    Returns:
        How many pages were written, by their templates.

    Raises:
        AnatomyError: A file of the study is missing, altered or not what the ledger says.
    """
    site = Links(trail, spec)
    writer = Writer(site, out)
    chains = Chains(writer)
    site.check()
    for name in ("style.css", "site.js", "icon.svg"):
        (out / name).write_bytes((TEMPLATES / name).read_bytes())
    pages.write_completions(writer)
    pages.write_tables(writer, chains)
    pages.write_figures(writer, chains)
    pages.write_numbers(writer, chains)
    if site.claims:
        writer.write("claims.html", "claims.html", claims=site.claims)
    chains.write()
    pages.write_jobs(writer)
    pages.write_sources(writer)
    pages.write_index(writer)
    write_search(writer)
    return writer.pages
