"""Writes the pages of the audit site from their templates."""

import json
import shlex
from pathlib import Path
from typing import Any

import jinja2

from anatomy.audit.site import completions as site_completions
from anatomy.audit.site.links import Links
from anatomy.audit.site.spec import TEMPLATES, WORK, visible


class Writer:
    """Writes a site's pages, and counts them."""

    def __init__(self, site: Links, out: Path):
        """Prepare the templates; ``out`` is the site's folder."""
        self.site, self.out = site, out
        self.pages: dict[str, int] = {}
        """How many pages were written of each template."""
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=visible,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters["hex"] = lambda digest: (digest or "")[:12]
        self._environment.filters["quote"] = shlex.quote
        self._environment.filters["plain"] = lambda value: json.dumps(value, ensure_ascii=False)
        self._environment.filters["pretty"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
        self._environment.globals |= {
            "title": site.trail.ledger["config"]["title"],
            "study": site.trail.study,
            "root": site.trail.ledger["root"],
            "work": WORK,
            "fragment": site_completions.fragment,
        }

    def write(self, page: str, template: str, /, **context: Any) -> None:
        """Write a page; templates lead from it to the site's other pages by ``up``."""
        self.pages[template] = self.pages.get(template, 0) + 1
        target = self.out / page
        target.parent.mkdir(parents=True, exist_ok=True)
        text = self.rendered(template, up="../" * page.count("/"), **context)
        target.write_text(text, encoding="utf-8")

    def rendered(self, template: str, /, **context: Any) -> str:
        """Return what a template gives."""
        return self._environment.get_template(template).render(site=self.site, **context)
