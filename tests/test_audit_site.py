"""The audit site in a real browser, from disk: search, from a number to a completion and back, every link."""

import base64
import itertools
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from tiny import ROOT, STUDY

from anatomy.audit import hashing
from anatomy.audit.hashing import files_of, tree
from anatomy.audit.provenance import Trail
from anatomy.audit.site import completions, site
from anatomy.audit.site import spec as site_spec
from anatomy.audit.site.layout import _layout
from anatomy.errors import AnatomyError
from anatomy.storage import parquet

AUDIT = f"{STUDY}/audit"
NUMBER = "passk/grpo/all/hard/answer/1/estimate"
PHONE, DESK = 360, 1280
KINDS = (
    "index.html",
    "index.html#q=passk%20grpo",
    "numbers/passk~grpo~all~hard~answer~1~estimate.html",
    "numbers/claims~S1~tiny~all~statement.html",
    "figures/passk.html",
    "tables/conditions.html",
    "chains/figure~passk.html",
    "claims.html",
    "paper.html",
    "jobs/index.html",
    "jobs/table~passk.html",
    "jobs/train~grpo~0.html",
    "sources.html",
    "completions/base/0/hard.html",
    "completions/base/0/ladder.html",
)


# Without a browser ------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=40))
def test_boxes_of_a_picture_stand_apart_and_arrows_lead_down(pairs: list[tuple[int, int]]) -> None:
    arrows = tuple(sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}))
    layout = _layout((172,) * 15, arrows)
    rows: dict[float, list[float]] = {}
    for x, y in layout.corners:
        assert 0 <= x <= layout.width - 172 and 0 <= y <= layout.height - 44
        rows.setdefault(y, []).append(x)
    for xs in map(sorted, rows.values()):
        assert all(right - left >= 172 + 10 for left, right in itertools.pairwise(xs))
    assert all(layout.corners[start][1] < layout.corners[end][1] for start, end in arrows)
    for arrow in layout.arrows:  # its straight parts lie beside boxes
        for x, y in re.findall(r" ([\d.]+) [\d.]+V([\d.]+)", arrow):
            beside = rows[float(y) - 44]
            assert all(not left < float(x) < left + 172 for left in beside)


def test_a_picture_of_a_line_is_a_line() -> None:
    layout = _layout((172,) * 6, tuple((at, at + 1) for at in range(5)))
    assert len({x for x, _ in layout.corners}) == 1


def test_every_rule_and_every_rounding_has_its_words() -> None:
    rules = {
        rule
        for path in (ROOT / "rules").glob("*.smk")
        for rule in re.findall(r"(?m)^(?:use rule \w+ as|rule) (\w+)", path.read_text())
    }
    assert set(site_spec.WORK) == rules - {"check", "audit_site"}
    for path in ("config/artifacts.yaml", "config/published/artifacts.yaml", "tests/tiny/artifacts.yaml"):
        specs = yaml.safe_load((ROOT / path).read_text())["tables"].values()
        assert {rule for spec in specs for rule in spec["numbers"].values()} <= set(site_spec.ROUNDING)


def test_what_cannot_be_seen_is_shown() -> None:
    assert site_spec.visible("a\u202eb\u2028c\x1b[0m\n\td") == "a\\u202eb\\u2028c\\u001b[0m\n\td"
    assert site_spec.visible(3) == 3


# Sites ------------------------------------------------------------------------------------------------


def spec(folder: Path, completions: int | None = None) -> site_spec.Spec:
    artifacts = yaml.safe_load((folder / "tests/tiny/artifacts.yaml").read_text())
    claims = yaml.safe_load((folder / "tests/tiny/claims.yaml").read_text())
    return site_spec.Spec(artifacts, claims, completions)


def built(folder: Path, completions: int | None = None) -> Path:
    """Build the site of a study into its own folder, as far as it does not lie there already."""
    out = folder / AUDIT
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    site.build(Trail("tiny", folder), spec(folder, completions), out)
    return out


def rewritten(study: Path, table: str, path: str, **changes: Any) -> None:
    """Write a table with other values, each a function of a row; its record tells the new digest."""
    rows = list(parquet.records(study / path, table))
    rows = [{**row, **{name: change(row) for name, change in changes.items()}} for row in rows]
    parquet.write(study / path, table, rows)
    place = (study / path).with_suffix(".record.json")
    record = json.loads(place.read_text())
    for output in record["result"]["outputs"]:
        output["sha256"] = hashing.sha256(study / path)
    place.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def here(finished: Path) -> Path:
    """The site that the workflow has made."""
    return finished / AUDIT


class Page(HTMLParser):
    """Anchors of a page, and what it links to."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.policy = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            assert found["id"] not in self.ids, f"two elements have the id {found['id']}"
            self.ids.add(found["id"])
        self.links += [found[name] for name in ("href", "src") if name in found]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]
        assert not any(name.startswith("on") or name == "style" for name in found)


@pytest.mark.slow
def test_every_link_leads_somewhere(here: Path, finished: Path) -> None:
    pages = {path: Page(path) for path in sorted(here.rglob("*.html"))}
    paper, sheets = finished / "paper/tiny.pdf", len(PdfReader(finished / "paper/tiny.pdf").pages)
    assert len(pages) > 500
    links = 0
    for path, page in pages.items():
        assert "default-src 'none'" in page.policy
        for link in dict.fromkeys(page.links):
            assert not re.match(r"[a-z]+:|//", link), f"{path}: {link} leads out of the site"
            file, _, anchor = link.partition("#")
            target = Path(f"{path.parent}/{unquote(file)}").resolve() if file else path
            assert target.is_file(), f"{path.relative_to(here)}: {link} leads to no file"
            if target == paper.resolve():
                assert not anchor or 1 <= int(anchor.removeprefix("page=")) <= sheets
            elif anchor:
                assert anchor in pages[target].ids, f"{path.relative_to(here)}: no {anchor} in {target}"
            links += 1
    assert links > 10_000


@pytest.mark.slow
def test_every_number_is_found_and_leads_to_its_page_or_row(here: Path, finished: Path) -> None:
    numbers = json.loads((finished / f"{STUDY}/numbers.json").read_text())
    data = re.fullmatch(r'audit\.entries\("([\w+/=]+)"\);\n', (here / "search.js").read_text())
    assert data
    lines = zlib.decompress(base64.b64decode(data[1]), -zlib.MAX_WBITS).decode().split("\n")
    entries = [line.split("\t") for line in lines]
    ways = {name: way for kind, name, _, way, _ in entries if kind == "number"}
    assert ways.keys() == {" ".join(name.split()) for name in numbers}
    for way in set(ways.values()):
        file, _, row = way.partition("#")
        assert (here / file).is_file() and (not row or f'<tr id="{row}">' in (here / file).read_text())
    assert {kind for kind, *_ in entries} == {"number", "figure", "table", "claim", "completions"}


@pytest.mark.slow
def test_links_of_the_paper_lead_to_pages_that_tell_where_they_stand(finished: Path) -> None:
    reader = PdfReader(finished / "paper/tiny.pdf")
    places = json.loads((finished / f"{STUDY}/places.json").read_text())
    found = set()
    for sheet, page in enumerate(reader.pages, start=1):
        for annotation in page.get("/Annots", []):
            link = annotation.get_object().get("/A", {}).get("/URI")
            if not link or not link.startswith("../results/"):
                continue
            target = finished / "paper" / unquote(link)
            assert target.is_file(), f"page {sheet} of the paper: {link} leads nowhere"
            assert f"/paper/tiny.pdf#page={sheet}" in target.read_text(encoding="utf-8"), (sheet, link)
            found.add(target.resolve())
    assert len(found) == len(places["numbers"]) + len(places["figures"])


@pytest.mark.slow
def test_a_number_page_tells_value_interval_and_chain(here: Path, finished: Path) -> None:
    number = json.loads((finished / f"{STUDY}/numbers.json").read_text())[NUMBER]
    text = (here / number["page"]).read_text(encoding="utf-8")
    for wanted in (number["text"], *number["interval_text"], *map(str, number["interval"]), NUMBER):
        assert wanted in text
    assert f"tables/passk.html#r{number['row']}" in text
    for path in Trail("tiny", finished).sources(NUMBER):
        assert path in text
    made = (here / "jobs/table~passk.html").read_text(encoding="utf-8")
    record = json.loads((finished / f"{STUDY}/tables/passk.record.json").read_text())
    for path, digest in record["result"]["code"].items():
        assert f'<a href="../source/{digest}.html">{path}</a>' in made
    assert record["run"]["git"]["commit"] in made


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(here: Path, finished: Path, tmp_path: Path) -> None:
    site.build(Trail("tiny", finished), spec(finished), tmp_path)
    assert tree(tmp_path) == tree(here)


@pytest.mark.slow
def test_no_page_names_this_machine(here: Path, finished: Path) -> None:
    for path in files_of(here):
        assert str(finished).encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_record_that_the_ledger_does_not_chain_is_refused(again: Path, tmp_path: Path) -> None:
    record = again / f"{STUDY}/tables/passk.record.json"
    content = json.loads(record.read_text())
    content["digest"] = "0" * 64
    record.write_text(json.dumps(content))
    with pytest.raises(AnatomyError, match=r"ledger\.json tells 1 records that are not here"):
        site.build(Trail("tiny", again), spec(again), tmp_path)


@pytest.mark.slow
def test_altered_or_missing_completions_are_refused_by_name(again: Path, tmp_path: Path) -> None:
    shard = again / f"{STUDY}/samples/base/seed-0/hard/shard-000.parquet"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(AnatomyError, match=r"samples/base/seed-0/hard/shard-000\.parquet: altered"):
        site.build(Trail("tiny", again), spec(again), tmp_path)
    shard.unlink()
    with pytest.raises(AnatomyError, match=r"shard-000\.parquet: No such file.*audit\.completions to 0"):
        site.build(Trail("tiny", again), spec(again), tmp_path)
    site.build(Trail("tiny", again), spec(again, 0), tmp_path)
    page = (tmp_path / "completions/base/0/hard.html").read_text()
    assert "This site has no texts of completions" in page


@pytest.mark.slow
def test_verdicts_on_other_completions_are_refused(again: Path, tmp_path: Path) -> None:
    verdicts = f"{STUDY}/verdicts/base/seed-0/hard/shard-000.parquet"
    rewritten(again, "verdicts", verdicts, sample=lambda row: 7 - row["sample"])
    with pytest.raises(AnatomyError, match=r"verdicts/base/seed-0/hard/shard-000\.parquet: not those of"):
        site.build(Trail("tiny", again), spec(again), tmp_path)


# In a browser -----------------------------------------------------------------------------------------


class Browser:
    """Chromium without a window, at a width; pages are opened from disk."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        self.width(DESK)

    def width(self, pixels: int) -> None:
        screen = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def open(self, path: Path, fragment: str = "") -> None:
        self.driver.get("about:blank")  # else another fragment alone loads nothing
        self.driver.get(path.as_uri() + (f"#{fragment}" if fragment else ""))
        # A busy machine has been seen to measure a page that had no style yet.
        self.until("document.readyState === 'complete' && getComputedStyle(document.body).margin === '0px'")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return what matches, as soon as it is there and can be seen."""
        waiting = WebDriverWait(self.driver, 20, 0.05, [NoSuchElementException])

        def seen(driver: Any) -> WebElement | None:
            found = driver.find_element(By.CSS_SELECTOR, selector)
            return found if found.is_displayed() else None

        return waiting.until(seen)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, script: str) -> None:
        WebDriverWait(self.driver, 20, 0.05).until(lambda _: self.run(f"return {script}"))

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def complaints(self) -> list[Any]:
        return list(self.driver.get_log("browser"))

    @property
    def where(self) -> str:
        return unquote(self.driver.current_url.partition(f"/{AUDIT}/")[2])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = Browser()
    yield found
    found.driver.quit()


@pytest.fixture(autouse=True)
def desk(request: pytest.FixtureRequest) -> None:
    """Each test with a browser begins at a desk, without complaints of another one."""
    if "browser" in request.fixturenames:
        found = request.getfixturevalue("browser")
        found.width(DESK)
        found.complaints()


@pytest.mark.slow
def test_search_finds_a_number_and_enter_follows_it(browser: Browser, here: Path, finished: Path) -> None:
    numbers = json.loads((finished / f"{STUDY}/numbers.json").read_text())
    browser.open(here / "index.html")
    browser.find("#q").send_keys("passk grpo hard answer/1")
    first = browser.find("#results a")
    assert first.find_element(By.CSS_SELECTOR, ".label").text == NUMBER
    assert first.find_element(By.CSS_SELECTOR, ".shown").text.startswith(numbers[NUMBER]["text"])
    browser.find("#q").send_keys(Keys.ENTER)
    assert browser.find("h1 .value").text == numbers[NUMBER]["text"]
    assert browser.where == numbers[NUMBER]["page"]
    browser.driver.back()
    browser.until("document.querySelectorAll('#results a').length > 0")
    assert browser.find("#q").get_attribute("value") == "passk grpo hard answer/1"
    browser.find("#q").clear()
    browser.find("#q").send_keys("no such number")
    browser.until("document.getElementById('found').textContent === '0 found'")
    assert browser.all("#results a") == []


@pytest.mark.slow
def test_search_leads_to_the_row_of_a_number_that_has_no_page(
    browser: Browser, here: Path, finished: Path
) -> None:
    numbers = json.loads((finished / f"{STUDY}/numbers.json").read_text())
    name = next(name for name in numbers if not (here / numbers[name]["page"]).exists())
    browser.open(here / "index.html")
    browser.find("#q").send_keys(name)
    browser.find("#results a").click()
    row = browser.find("tr:target")
    cells = [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")]
    assert cells[0] == str(numbers[name]["row"] + 1)
    assert set(numbers[name]["keys"].values()) <= set(cells)


@pytest.mark.slow
def test_from_a_number_to_a_completion_and_back(browser: Browser, here: Path, finished: Path) -> None:
    browser.open(here / "numbers/passk~grpo~all~hard~answer~1~estimate.html")
    browser.find("details:has(th[scope=row]) summary").click()
    link = browser.find("details[open] th[scope=row] a")
    problem = link.text
    link.click()
    browser.find(".completion")
    assert browser.where == f"completions/grpo/0/hard.html#problem={problem}"
    shown = [text.get_attribute("textContent") for text in browser.all(".completion .text")]
    shard = f"{STUDY}/samples/grpo/seed-0/hard/shard-000.parquet"
    rows = [row for row in parquet.records(finished / shard, "samples") if row["problem"] == problem]
    assert shown == [row["completion"] for row in rows]
    verdicts = f"{STUDY}/verdicts/grpo/seed-0/hard/shard-000.parquet"
    judged = [row for row in parquet.records(finished / verdicts, "verdicts") if row["problem"] == problem]
    assert [one.text for one in browser.all(".completion .verdict")] == [row["verdict"] for row in judged]
    assert f"of {shard}" in browser.find(".completion .facts").text
    browser.driver.back()
    assert browser.find("h1 .value").text
    assert browser.where == "numbers/passk~grpo~all~hard~answer~1~estimate.html"


@pytest.mark.slow
def test_a_link_leads_to_one_completion(browser: Browser, here: Path, finished: Path) -> None:
    counts = parquet.read(finished / f"{STUDY}/counts/base/seed-0/ladder/probes.parquet", "counts")
    row = counts[counts["condition"] == "plan"].iloc[0]
    fragment = f"problem={row['problem']}&condition=plan&of=probes"
    browser.open(here / "completions/base/0/ladder.html", f"{fragment}&sample=1")
    chosen = browser.find(".completion.chosen")
    assert chosen.get_attribute("data-sample") == "1"
    assert browser.run("return document.activeElement === arguments[0]", chosen)
    assert len(browser.all(".completion")) == row["n"]
    assert "condition plan, probes" in browser.find("#viewer").text
    browser.find("#viewer p a").click()  # all problems
    browser.find("#lists")
    assert browser.all(".completion")[0].is_displayed() is False
    browser.driver.back()
    browser.find(".completion.chosen")
    browser.open(here / "completions/base/0/ladder.html", f"{fragment}&sample=99")
    browser.find(".completion")
    assert "the text of sample 99 is not here" in browser.find("#viewer [role=status]").text
    assert not browser.complaints()


@pytest.mark.slow
def test_completions_are_chosen_by_verdict(browser: Browser, here: Path, finished: Path) -> None:
    verdicts = parquet.read(finished / f"{STUDY}/verdicts/base/seed-0/hard/shard-000.parquet", "verdicts")
    several = verdicts.groupby("problem")["verdict"].nunique()
    problem = several.index[several > 1][0]
    found = verdicts[verdicts["problem"] == problem]
    name = sorted(found["verdict"])[0]
    wanted = found[found["verdict"] == name]
    browser.open(here / "completions/base/0/hard.html", f"problem={problem}")
    browser.find("#verdict").send_keys(name)
    browser.until(f"document.querySelectorAll('.completion').length === {len(wanted)}")
    assert {one.text for one in browser.all(".completion .verdict")} == {name}
    browser.find("#sample").send_keys("2", Keys.ENTER)
    assert browser.find(".completion.chosen").get_attribute("data-sample") == "2"


@pytest.mark.slow
@pytest.mark.parametrize("page", KINDS)
def test_no_page_complains_or_scrolls_sideways_on_a_phone(browser: Browser, here: Path, page: str) -> None:
    path, _, fragment = page.partition("#")
    for width in (PHONE, DESK):
        browser.width(width)
        browser.open(here / path, fragment)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = browser.run("return document.scrollingElement.scrollWidth")
        assert wide <= browser.run("return innerWidth") == width
    assert not browser.complaints()


@pytest.mark.slow
def test_a_problem_on_a_phone(browser: Browser, here: Path) -> None:
    browser.width(PHONE)
    browser.open(here / "completions/base/0/hard.html")
    browser.find("th[scope=row] a").click()
    browser.find(".completion")
    assert browser.run("return document.scrollingElement.scrollWidth") <= PHONE
    assert not browser.complaints()


@pytest.mark.slow
def test_labels_of_pictures_stay_in_their_boxes_and_boxes_apart(browser: Browser, here: Path) -> None:
    script = """
      const all = [...document.querySelectorAll(".picture .box")].map((box) => {
        const of = (part) => part.getBoundingClientRect();
        return [of(box.querySelector("rect")), ...[...box.querySelectorAll("text")].map(of)];
      });
      const plain = ({left, right, top, bottom}) => [left, right, top, bottom];
      return all.map((rects) => rects.map(plain));
    """
    chains = sorted(here.glob("chains/*.html"))
    assert len(chains) > 30
    for path in chains:
        browser.open(path)
        boxes = browser.run(script)
        assert len(boxes) > 2
        for box, *labels in boxes:
            for label in labels:
                assert label[0] >= box[0] + 2 and label[1] <= box[1] - 2, f"{path.name}: a label is too wide"
                assert label[2] >= box[2] and label[3] <= box[3]
            assert labels[0][3] <= labels[1][2] + 4
        for place, (one, *_) in enumerate(boxes):
            for other, *_ in boxes[:place]:
                apart = one[1] < other[0] or other[1] < one[0] or one[3] < other[2] or other[3] < one[2]
                assert apart, f"{path.name}: two boxes overlap"


@pytest.mark.slow
def test_the_picture_stands_in_words_too(browser: Browser, here: Path) -> None:
    browser.open(here / "numbers/passk~grpo~all~hard~answer~1~estimate.html")
    boxes = {browser.run("return arguments[0].href.baseVal", box) for box in browser.all(".picture a")}
    words = browser.run(
        "return [...document.querySelectorAll('#chain ~ details ol a')].map((a) => a.getAttribute('href'))"
    )
    assert boxes == set(words) and len(boxes) > 5
    browser.find(".picture a").click()
    assert browser.where.startswith(("jobs/", "chains/", "source/"))


def focused(browser: Browser) -> dict[str, Any]:
    return dict(
        browser.run(
            """
            const on = document.activeElement, style = getComputedStyle(on);
            const shape = on.querySelector("rect");
            return {
              name: on.localName, id: on.id, text: on.textContent.trim().slice(0, 60),
              seen: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
                || (shape !== null && parseFloat(getComputedStyle(shape).strokeWidth) >= 2),
            };
            """
        )
    )


@pytest.mark.slow
def test_the_keyboard_reaches_everything_and_is_seen(browser: Browser, here: Path) -> None:
    browser.open(here / "index.html")
    stops = []
    for _ in range(14):
        browser.press(Keys.TAB)
        stops.append(focused(browser))
    assert stops[0]["text"] == "To the content"
    assert [stop["id"] for stop in stops if stop["name"] == "input"] == ["q"]
    assert all(stop["seen"] for stop in stops), stops
    browser.find("#q").send_keys("passk grpo")
    browser.find("#results a")
    browser.press(Keys.ARROW_DOWN)
    assert focused(browser)["text"].startswith("passk/grpo/")
    browser.press(Keys.ENTER)
    browser.find("h1 .value")
    browser.open(here / "completions/base/0/hard.html")
    while focused(browser)["text"][:1] != "w":  # a problem's id
        browser.press(Keys.TAB)
    browser.press(Keys.ENTER)
    browser.find(".completion")
    reached = []
    for _ in range(9):
        browser.press(Keys.TAB)
        reached.append(focused(browser))
    assert all(stop["seen"] for stop in reached), reached
    assert {"select", "input", "button", "summary", "a"} <= {stop["name"] for stop in reached}
    browser.open(here / "numbers/passk~grpo~all~hard~answer~1~estimate.html")
    for _ in range(40):
        browser.press(Keys.TAB)
        stop = focused(browser)
        assert stop["seen"], stop
        if "sample" in stop["text"]:
            break
    assert "sample" in stop["text"]


@pytest.mark.slow
def test_a_page_is_read_without_javascript(here: Path) -> None:
    for path in ("index.html", "completions/base/0/hard.html"):
        assert "need JavaScript" in re.sub(r"\s+", " ", (here / path).read_text())
    ids = Page(here / "completions/base/0/ladder.html").ids
    assert any(re.fullmatch(r"problem=\w+&condition=plan&of=probes", one) for one in ids)


HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'></script></pre>"
    "]]>-->\u2028\u2029\u202eevil\u2066\x1b[31m\x00 \\u{1} ${1} {{ 1 + 1 }} "
    "\U0001f600 \N{HEBREW LETTER ALEF}\n\ta line"
)
INVISIBLE = "\u2028\u2029\u202e\u2066\x1b\x00"


@pytest.mark.slow
def test_hostile_text_is_shown_and_not_run(browser: Browser, again: Path) -> None:
    problem = parquet.read(again / f"{STUDY}/counts/base/seed-0/hard.parquet", "counts")["problem"][0]
    worse = f"{problem}/ \"'><script>window.hacked = 1</script>&#+%41?!*()~ü"

    def named(row: dict[str, Any]) -> Any:
        return worse if row["problem"] == problem else row["problem"]

    shard = "base/seed-0/hard/shard-000.parquet"
    text = {"completion": lambda row: f"{row['sample']} {HOSTILE}"}
    rewritten(again, "samples", f"{STUDY}/samples/{shard}", problem=named, **text)
    rewritten(again, "verdicts", f"{STUDY}/verdicts/{shard}", problem=named, answer=lambda row: HOSTILE)
    rewritten(again, "counts", f"{STUDY}/counts/base/seed-0/hard.parquet", problem=named)
    rewritten(again, "problems", f"{STUDY}/problems/hard.parquet", problem=named, text=lambda row: HOSTILE)
    rewritten(
        again, "prompts", f"{STUDY}/prompts/hard/world.parquet", problem=named, prompt=lambda row: HOSTILE
    )
    out = built(again)
    browser.open(out / "completions/base/0/hard.html")
    (link,) = [one for one in browser.all("th[scope=row] a") if one.text == worse]
    link.click()
    browser.find(".completion")
    assert browser.find("#problem").text == f"Problem {worse}"
    shown = browser.find(".completion .text")
    escaped = "".join(f"\\u{{{ord(sign):x}}}" if sign in INVISIBLE else sign for sign in HOSTILE)
    assert shown.get_attribute("textContent") == f"0 {escaped}"
    assert browser.run("return window.hacked") is None
    assert browser.all("#viewer script, #viewer img") == []
    assert "<script>" in browser.find("#viewer").text
    browser.open(out / "completions/base/0/hard.html", f"problem={quote(worse, safe='')}&sample=1")
    assert browser.find(".completion.chosen").get_attribute("data-sample") == "1"
    browser.open(out / "numbers/passk~base~all~hard~answer~1~estimate.html")
    row = next(one for one in browser.all("th[scope=row] a") if "script" in one.get_attribute("textContent"))
    browser.run("arguments[0].closest('details').open = true; arguments[0].click()", row)
    browser.find(".completion")
    assert browser.find("#problem").text == f"Problem {worse}"
    assert browser.run("return window.hacked") is None
    assert not browser.complaints()


@pytest.mark.slow
def test_only_the_first_completions_may_be_shown(browser: Browser, again: Path) -> None:
    out = built(again, completions=2)
    counts = parquet.read(again / f"{STUDY}/counts/base/seed-0/hard.parquet", "counts")
    browser.open(out / "completions/base/0/hard.html")
    assert "the texts of the first 2 completions" in browser.find("#lists").text
    cells = browser.find("tbody tr").find_elements(By.CSS_SELECTOR, "td")
    assert cells[1].text == str(counts["n"][0])
    browser.find("th[scope=row] a").click()
    browser.find(".completion")
    assert [one.get_attribute("data-sample") for one in browser.all(".completion")] == ["0", "1"]
    assert f"completions {counts['n'][0]}, right {counts['answer'][0]}" in browser.find("#viewer").text


@pytest.mark.slow
def test_many_completions_open_at_once(browser: Browser, here: Path, tmp_path: Path) -> None:
    page = tmp_path / "completions/base/0/hard.html"
    for name in ("site.js", "style.css", "icon.svg"):
        shutil.copy(here / name, tmp_path)
    page.parent.mkdir(parents=True)
    shutil.copy(here / "completions/base/0/hard.html", page)
    text = "b = a - a = 2 - 2 = 0 . " * 20
    rows = [[at, "wrong", "1", False, 0, 99, "stop", 0, at, f"{text}{at}"] for at in range(6400)]
    columns = {"question": "", "answers": ["1"], "prompt": "", "shards": ["x.parquet"]}
    packed = completions._packed({**columns, "rows": list(map(list, zip(*rows, strict=True)))})
    page.with_suffix(".js").write_text(f'audit.completions([["many", "plain", "", "{packed}"]]);')
    browser.open(page, "problem=many&sample=6399")
    chosen = browser.find(".completion.chosen")
    assert chosen.get_attribute("data-sample") == "6399"
    browser.open(page, "problem=many")
    browser.find(".completion")
    assert len(browser.all(".completion")) == 100
    assert browser.run("return performance.now()") < 5000
    browser.find("#viewer > button").click()
    assert len(browser.all(".completion")) == 200
    assert browser.run("return document.activeElement.dataset.sample") == "100"
