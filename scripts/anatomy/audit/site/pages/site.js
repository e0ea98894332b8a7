"use strict";
// Search on the first page, and completions. The data come as scripts, since a page from disk may not fetch files.
// Every text is set as text, never as markup: completions may hold anything.

const audit = (() => {
  const by = (id) => document.getElementById(id);

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // Deflated text in base64, as site_completions.packed makes it.
  async function unpacked(data) {
    const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(stream).text();
  }

  // Text in which what would be invisible, or turn its direction, stands as an escape.
  const HIDDEN = /((?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}])/u;
  function visible(text) {
    const escape = (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`;
    return text.split(HIDDEN).map((part, place) =>
      place % 2 ? element("span", {className: "sign", textContent: escape(part)}) : part);
  }

  // Boxes that scroll: no stop for the keyboard where there is nothing to scroll; a chain begins at its end.
  function boxes() {
    for (const box of document.querySelectorAll(".scroll")) {
      const fits = box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight;
      if (fits) box.removeAttribute("tabindex");
      const end = box.querySelector(".result");
      if (end) {
        const [outer, inner] = [box.getBoundingClientRect(), end.getBoundingClientRect()];
        box.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
      }
    }
  }
  document.addEventListener("DOMContentLoaded", boxes);

  // Search ------------------------------------------------------------------------------------------

  const MOST = 60;

  function searching(lines) {
    const found = lines.map((line) => {
      const [kind, name, shown, way, pages] = line.split("\t");
      return {kind, name, shown, way, pages, text: `${kind} ${name} ${shown}`.toLowerCase()};
    });
    const box = by("q"), list = by("results"), status = by("found");

    function show() {
      const words = box.value.toLowerCase().split(/\s+/).filter((word) => word);
      history.replaceState(null, "", words.length ? `#q=${encodeURIComponent(box.value.trim())}` : location.pathname);
      const exact = box.value.trim().toLowerCase();
      let hits = words.length ? found.filter((one) => words.every((word) => one.text.includes(word))) : [];
      hits = [...hits.filter((one) => one.name.toLowerCase() === exact),
        ...hits.filter((one) => one.name.toLowerCase() !== exact)];
      list.replaceChildren(...hits.slice(0, MOST).map((one) => element("li", {}, element("a", {href: one.way},
        element("span", {className: "label"}, ...visible(one.name)),
        element("span", {className: "shown"}, " ", ...visible(one.shown)),
        element("span", {className: "kind"}, ` ${one.kind}${one.pages ? `, paper p. ${one.pages}` : ""}`)))));
      const more = hits.length > MOST ? `, of which the first ${MOST} are shown` : "";
      status.textContent = words.length ? `${hits.length} found${more}` : "";
    }

    box.addEventListener("input", show);
    by("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const first = list.querySelector("a");
      if (first) first.click();
    });
    // Arrows go through the results, as in a list.
    document.addEventListener("keydown", (event) => {
      const links = [...list.querySelectorAll("a")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "ArrowDown" && (document.activeElement === box || at >= 0)) {
        (links[at + 1] || links[at] || box).focus();
      } else if (event.key === "ArrowUp" && at >= 0) {
        (links[at - 1] || box).focus();
      } else {
        return;
      }
      event.preventDefault();
    });

    function asked() {
      const words = new URLSearchParams(location.hash.slice(1)).get("q");
      if (words !== null) box.value = words;
      if (location.hash === "#search") box.focus();
    }
    window.addEventListener("hashchange", () => { asked(); show(); });
    asked();
    if (box.value) show();
  }

  // Completions -------------------------------------------------------------------------------------

  const FIRST = 100; // completions shown at once
  const COLUMNS = ["sample", "verdict", "answer", "derivation", "bad", "tokens", "finish", "shard", "row", "text"];

  function link(problem, condition, piece, sample) {
    const parts = [["problem", problem], ["condition", condition === "plain" ? "" : condition], ["of", piece],
      ["sample", sample]];
    return `#${parts.filter(([, value]) => value !== "" && value !== undefined)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
  }

  function completion(one, shards, chosen, href) {
    const judged = {true: "derivation right", false: "derivation wrong"}[one.derivation];
    const facts = [judged && one.bad >= 0 && one.bad !== null ? `${judged} from line ${one.bad + 1}` : judged,
      `${one.tokens} tokens`, one.finish === "length" ? "cut off" : "ended by itself",
      `row ${one.row + 1} of ${shards[one.shard]}`].filter((fact) => fact).join(", ");
    const line = element("p", {className: "facts"});
    line.append(...(one.answer === null ? ["no answer"] : ["answer ", ...visible(one.answer)]), `, ${facts}`);
    const made = element("article", {className: `completion${chosen ? " chosen" : ""}`, tabIndex: -1},
      element("h3", {}, element("a", {href, textContent: `Sample ${one.sample}`}), " ",
        element("span", {className: `verdict ${one.verdict}`, textContent: one.verdict})),
      line, element("pre", {className: "text", dir: "auto"}, ...visible(one.text)));
    made.dataset.sample = one.sample;
    return made;
  }

  // What the row of a problem says of it, in words.
  function counted(anchor) {
    const row = by(anchor);
    if (!row) return "";
    const heads = [...row.closest("table").querySelectorAll("thead th")];
    const said = [...row.cells].map((cell, place) => `${heads[place].textContent} ${cell.textContent}`);
    return `Counted: ${said.slice(2).join(", ")}.`;
  }

  function viewing(chunks) {
    const viewer = by("viewer"), lists = by("lists"), title = document.title;
    let turn = 0;

    function options(chosen, verdicts) {
      const menu = element("select", {id: "verdict"});
      menu.append(element("option", {value: "", textContent: "all"}),
        ...verdicts.map((verdict) => element("option", {value: verdict, textContent: verdict})));
      menu.value = chosen;
      return menu;
    }

    function neighbour(at, text) {
      const [problem, condition, piece] = chunks[at] || [];
      return problem === undefined ? "" : element("a", {href: link(problem, condition, piece), textContent: text});
    }

    async function show() {
      const mine = ++turn;
      const asked = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
      const problem = asked.get("problem");
      const fits = (chunk, whole) => chunk[0] === problem
        && (!whole || (chunk[1] === (asked.get("condition") ?? "plain") && chunk[2] === (asked.get("of") ?? "")));
      let at = problem === null ? -1 : chunks.findIndex((chunk) => fits(chunk, true));
      if (at < 0 && problem !== null) at = chunks.findIndex((chunk) => fits(chunk, false));
      if (at < 0) {
        viewer.hidden = true;
        lists.hidden = false;
        document.title = title;
        const row = problem !== null && by(location.hash.slice(1));
        if (row) row.scrollIntoView();
        return;
      }
      const [, condition, piece, data] = chunks[at];
      const content = JSON.parse(await unpacked(data));
      if (mine !== turn) return; // another problem was asked for meanwhile
      const all = content.rows[0].map((_, row) =>
        Object.fromEntries(COLUMNS.map((name, column) => [name, content.rows[column][row]])));
      draw(problem, condition, piece, at, content, all, asked.get("sample"));
    }

    function draw(problem, condition, piece, at, content, all, sample) {
      document.title = `${problem} – ${title}`;
      const heading = element("h2", {id: "problem", tabIndex: -1}, "Problem ", ...visible(problem));
      const place = [condition === "plain" ? "" : `condition ${condition}`, piece].filter((part) => part).join(", ");
      const list = element("div", {id: "texts"});
      const more = element("button", {type: "button", textContent: "Show more"});
      const status = element("p", {className: "note", role: "status"});
      const menu = options("", [...new Set(all.map((one) => one.verdict))].sort());
      const number = element("input", {id: "sample", type: "number", min: 0, inputMode: "numeric"});
      const go = element("form", {}, element("label", {htmlFor: "sample", textContent: "Sample"}), number, " ",
        element("button", {textContent: "Go"}));
      let shown = 0;

      function fill(until) {
        const wanted = all.filter((one) => !menu.value || one.verdict === menu.value);
        until = Math.min(until, wanted.length);
        for (const one of wanted.slice(shown, until)) {
          list.append(completion(one, content.shards, String(one.sample) === sample,
            link(problem, condition, piece, one.sample)));
        }
        shown = until;
        more.hidden = shown === wanted.length;
        status.textContent = `${shown} of ${wanted.length} texts${menu.value ? ` that are ${menu.value}` : ""} shown`;
        return wanted;
      }

      menu.addEventListener("change", () => { list.replaceChildren(); shown = 0; fill(FIRST); });
      more.addEventListener("click", () => {
        const before = shown;
        fill(shown + FIRST);
        if (list.children[before]) list.children[before].focus();
      });
      go.addEventListener("submit", (event) => {
        event.preventDefault();
        if (number.value !== "") location.hash = link(problem, condition, piece, Number(number.value)).slice(1);
      });
      const given = [element("p", {}, element("b", {textContent: "Question: "}), ...visible(content.question)),
        element("p", {}, element("b", {textContent: "Answer: "}), ...visible(content.answers.join(", ")))];
      if (content.prompt) {
        given.push(element("details", {}, element("summary", {textContent: "Prompt"}),
          element("pre", {className: "text", dir: "auto"}, ...visible(content.prompt))));
      }
      viewer.replaceChildren(heading, ...(place ? [element("p", {className: "note"}, ...visible(place))] : []),
        element("p", {}, element("a", {href: "#lists", textContent: "All problems"}), " ",
          neighbour(at - 1, "Previous"), " ", neighbour(at + 1, "Next")),
        ...given, element("p", {textContent: counted(link(problem, condition, piece).slice(1))}),
        element("div", {className: "controls"},
          element("div", {}, element("label", {htmlFor: "verdict", textContent: "Verdict"}), menu), go),
        status, list, more);
      viewer.hidden = false;
      lists.hidden = true;
      const index = sample === null ? -1 : all.findIndex((one) => String(one.sample) === sample);
      fill(Math.max(FIRST, index + 1));
      const chosen = list.querySelector(".chosen");
      if (sample !== null && !chosen) status.textContent += `; the text of sample ${sample} is not here`;
      (chosen || heading).focus({preventScroll: true});
      (chosen || heading).scrollIntoView({block: "start"});
    }

    window.addEventListener("hashchange", show);
    show();
  }

  const start = (begin) => (...data) => {
    const failed = (error) => {
      const told = element("p", {role: "alert", textContent: `This browser cannot show the data: ${error.message}`});
      by("content").prepend(told);
    };
    Promise.resolve().then(() => begin(...data)).catch(failed);
  };
  return {
    entries: start(async (data) => searching((await unpacked(data)).split("\n"))),
    completions: start(viewing),
  };
})();
