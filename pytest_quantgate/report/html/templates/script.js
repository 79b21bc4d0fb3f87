"use strict";

// The table of cases. Texts of the run are data: they reach the page as textContent and nothing else.
(() => {
  const FIRST = 50; // rows that are shown at once, and with each "show more"
  const MOST_CELLS = 4_000_000; // of a comparison by words; beyond it everything between both ends is marked
  const PAUSE = 120; // milliseconds without a key before a search

  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("index").textContent);
  const lines = find("lines").textContent.split("\n");
  const parsed = new Map();
  const haystacks = [];
  const filters = { slice: find("slice"), candidate: find("candidate"), transition: find("transition"), tag: find("tag"), state: find("state") };
  const body = find("rows").tBodies[0];
  let chosen = [];
  let shown = 0;

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function details(place) {
    if (!parsed.has(place)) parsed.set(place, JSON.parse(lines[place]));
    return parsed.get(place);
  }

  // ---- filter and search

  function haystack(place) {
    if (haystacks[place] === undefined) {
      const value = JSON.parse(lines[place]);
      const texts = [data.ids[place], value.where, ...data.tagged[place].map((tag) => data.tags[tag])];
      for (const turn of value.turns) {
        texts.push(...turn.asked.map((message) => message[1]), ...turn.checks.map((check) => check[0]));
        for (const answer of turn.answers) {
          if (answer) texts.push(answer.text, ...answer.results.map((result) => result[1]));
        }
      }
      haystacks[place] = texts.join("\n").toLowerCase();
    }
    return haystacks[place];
  }

  function fits(row, wanted, words) {
    const [place, candidate, transition, state] = row;
    return (wanted.slice === "" || data.slice[place] === Number(wanted.slice))
      && (wanted.candidate === "" || candidate === Number(wanted.candidate))
      && (wanted.transition === "" || transition === Number(wanted.transition))
      && (wanted.state === "" || state === Number(wanted.state))
      && (wanted.tag === "" || data.tagged[place].includes(Number(wanted.tag)))
      && (words === "" || haystack(place).includes(words));
  }

  function apply() {
    const words = find("search").value.trim().toLowerCase();
    const wanted = Object.fromEntries(Object.entries(filters).map(([key, select]) => [key, select.value]));
    chosen = data.rows.filter((row) => fits(row, wanted, words));
    shown = 0;
    body.replaceChildren();
    more();
  }

  function more() {
    body.append(...chosen.slice(shown, shown + FIRST).map((row) => line(row)));
    shown = Math.min(chosen.length, shown + FIRST);
    find("more").hidden = shown === chosen.length;
    const total = data.rows.length.toLocaleString("en");
    const showing = shown < chosen.length ? `, the first ${shown.toLocaleString("en")} shown` : "";
    find("count").textContent = `${chosen.length.toLocaleString("en")} of ${total} results${showing}`;
  }

  // ---- one row

  function brief(row) {
    const [place, candidate, , state] = row;
    const value = details(place);
    const told = state >= 0 && data.states[state] !== "same" ? [`golden: ${data.states[state]}`] : [];
    for (const turn of value.turns) {
      const before = turn.answers[0];
      const after = turn.answers[candidate + 1];
      if (!before || !after) continue;
      for (const [number, [followed, reason]] of after.results.entries()) {
        const was = before.results[number][0];
        if (followed === was && followed !== false) continue;
        const side = followed === null ? "not scored: " : followed ? "repaired: " : "";
        return [...told, `${side}${turn.checks[number][0]}: ${reason}`].join("; ");
      }
    }
    const parted = value.parted[candidate];
    return [...told, parted === null ? "" : `answers part at token ${parted + 1}`].filter(Boolean).join("; ");
  }

  function line(row) {
    const [place, candidate, transition] = row;
    const name = data.transitions[transition];
    const button = make("button", { type: "button", className: "open", textContent: data.ids[place] });
    const kind = { "PASS→FAIL": "fail", "FAIL→PASS": "pass", unscored: "doubt" }[name] ?? "";
    const element = make(
      "tr", { className: "row" },
      make("th", { scope: "row" }, button),
      make("td", { textContent: data.slices[data.slice[place]] }),
      make("td", { textContent: data.candidates[candidate] }),
      make("td", { textContent: name, className: kind }),
      make("td", { className: "says" }, make("div", { textContent: brief(row) })),
    );
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => toggle(button, element, row));
    return element;
  }

  function toggle(button, element, row) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) element.nextElementSibling.remove();
    else element.after(make("tr", { className: "detail" }, make("td", { colSpan: 5 }, ...opened(row))));
  }

  // ---- what a row opens to

  function opened([place, candidate]) {
    const value = details(place);
    const parts = [];
    const facts = [value.where, ...data.tagged[place].map((tag) => `tag ${data.tags[tag]}`)];
    if (value.cluster) facts.push(`cluster ${value.cluster}`);
    parts.push(make("p", { className: "note", textContent: facts.join(" · ") }));
    for (const [number, turn] of value.turns.entries()) {
      const several = value.turns.length > 1;
      if (several) parts.push(make("h4", { textContent: `Turn ${number + 1} of ${value.turns.length}` }));
      for (const [role, text] of turn.asked) {
        parts.push(make("p", { className: "role", textContent: several && number ? "then asked" : role }), block(text));
      }
      if (value.prefix && number === 0) {
        parts.push(make("p", { className: "role", textContent: "answers are made to begin with" }), block(value.prefix));
      }
      parts.push(sides(turn.answers[0], turn.answers[candidate + 1], candidate), checks(turn, candidate));
    }
    parts.push(...goldens(value, candidate), ...reruns(value, candidate));
    return parts;
  }

  function block(text) {
    const element = make("pre", { className: "text", textContent: text, tabIndex: 0, dir: "auto" });
    return element;
  }

  function sides(before, after, candidate) {
    let pieces = null;
    if (before && after && !before.none && !after.none) {
      pieces = compare(...(after.cut ?? [before.text, after.text]));
    }
    const names = [data.reference, data.candidates[candidate]];
    const columns = [before, after].map((answer, side) => {
      const column = make("div", { className: "side" }, make("h4", { textContent: answer ? answer.head : `${names[side]}: no result` }));
      if (!answer) return column;
      if (answer.none) column.append(make("p", { className: "text none-said", textContent: answer.none }));
      else column.append(pieces ? marked(pieces[side]) : block(answer.text));
      if (answer.margin) column.append(make("p", { className: "note", textContent: answer.margin }));
      return column;
    });
    const parting = after && after.parting ? [make("p", { className: "note parting", textContent: after.parting })] : [];
    return make("div", {}, make("div", { className: "sides" }, ...columns), ...parting);
  }

  function marked(pieces) {
    const element = block("");
    let first = true;
    for (const [text, differs] of pieces) {
      if (!differs) {
        element.append(text);
        continue;
      }
      element.append(make("mark", { className: first ? "first" : "", textContent: text, title: first ? "first difference" : "" }));
      first = false;
    }
    return element;
  }

  function checks(turn, candidate) {
    const both = [turn.answers[0], turn.answers[candidate + 1]];
    const head = ["check", data.reference, data.candidates[candidate]].map((text) => make("th", { scope: "col", textContent: text }));
    const rows = turn.checks.map(([name, given], number) => {
      const asked = make("th", { scope: "row" }, name);
      if (given) asked.append(make("br"), make("code", { className: "soft", textContent: given }));
      return make("tr", {}, asked, ...both.map((answer) => result(answer && answer.results[number])));
    });
    const caption = make("caption", { textContent: "Checks" });
    const table = make("table", { className: "sheet" }, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
    return make("div", { className: "scroll" }, table);
  }

  function result(found) {
    if (!found) return make("td", { textContent: "-" });
    const [followed, reason] = found;
    const [kind, word] = followed === null ? ["doubt", "? not scored"] : followed ? ["pass", "✓ followed"] : ["fail", "✕ violated"];
    return make("td", {}, make("span", { className: `verdict ${kind}`, textContent: word }), ` ${reason}`);
  }

  function goldens(value, candidate) {
    const told = value.goldens ?? [];
    return [0, candidate + 1].filter((side) => told[side] && told[side][0]).map((side) => {
      const [state, reason, accepted] = told[side];
      const spec = side ? data.candidates[candidate] : data.reference;
      const words = [`Golden of ${spec}: ${state}`, reason, accepted && `accepted: ${accepted}`].filter(Boolean);
      return make("p", { className: "note golden", textContent: words.join("; ") });
    });
  }

  function reruns(value, candidate) {
    if (!value.rerun) return [];
    const text = value.rerun[candidate].map((line) => (line.startsWith(" ") ? data.base + line : line)).join("\n");
    return [make("p", { className: "role", textContent: "run it again" }), make("pre", { className: "command", textContent: text, tabIndex: 0 })];
  }

  // ---- where two answers differ, by words

  function compare(before, after) {
    const cut = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
    const [left, right] = [cut(before), cut(after)];
    let start = 0;
    while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
    let end = 0;
    const least = Math.min(left.length, right.length) - start;
    while (end < least && left[left.length - 1 - end] === right[right.length - 1 - end]) end += 1;
    const middles = [left.slice(start, left.length - end), right.slice(start, right.length - end)];
    const kept = common(...middles);
    return [left, right].map((words, side) => {
      const differs = words.map((_, place) => place >= start && place < words.length - end && !kept[side].has(place - start));
      return runs(words, differs, start, middles[0].length + middles[1].length > 0);
    });
  }

  // The places of a longest common subsequence, in both lists.
  function common(left, right) {
    const places = [new Set(), new Set()];
    if (left.length * right.length > MOST_CELLS) return places;
    const width = right.length + 1;
    const longest = new Uint16Array((left.length + 1) * width);
    for (let i = left.length - 1; i >= 0; i -= 1) {
      for (let j = right.length - 1; j >= 0; j -= 1) {
        const here = i * width + j;
        longest[here] = left[i] === right[j] ? longest[here + width + 1] + 1 : Math.max(longest[here + width], longest[here + 1]);
      }
    }
    for (let i = 0, j = 0; i < left.length && j < right.length;) {
      if (left[i] === right[j]) {
        places[0].add(i);
        places[1].add(j);
        i += 1;
        j += 1;
      } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
      else j += 1;
    }
    return places;
  }

  // Words as runs of [text, differs]; the place where the answers part is a run even where one side has no word for it.
  function runs(words, differs, start, parted) {
    const found = [];
    for (const [place, word] of words.entries()) {
      if (parted && place === start && !differs[place]) found.push(["", true]);
      // a space between two words that differ belongs to them
      const within = !word.trim() && differs[place - 1] && differs[place + 1];
      const last = found.at(-1);
      if (last && last[1] === (differs[place] || within) && last[0]) last[0] += word;
      else found.push([word, Boolean(differs[place] || within)]);
    }
    if (parted && start === words.length) found.push(["", true]);
    return found;
  }

  // ---- start

  function fill(select, names) {
    select.append(make("option", { value: "", textContent: "all" }));
    for (const [number, name] of names.entries()) select.append(make("option", { value: String(number), textContent: name }));
    select.parentElement.hidden = names.length === 0;
  }

  function listen() {
    let waiting = 0;
    find("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, PAUSE);
    });
    for (const select of Object.values(filters)) select.addEventListener("change", apply);
    find("filters").addEventListener("submit", (event) => event.preventDefault());
    find("filters").addEventListener("reset", () => setTimeout(apply));
    find("more").addEventListener("click", () => {
      const next = shown;
      more();
      body.querySelectorAll(".open")[next]?.focus(); // the button may be gone
    });
    for (const link of document.querySelectorAll("a[data-transition]")) {
      link.addEventListener("click", () => {
        find("filters").reset();
        filters.slice.value = String(data.slices.indexOf(link.dataset.slice));
        filters.candidate.value = String(data.candidates.indexOf(link.dataset.candidate));
        filters.transition.value = String(data.transitions.indexOf(link.dataset.transition));
      });
    }
  }

  fill(filters.slice, data.slices);
  fill(filters.candidate, data.candidates);
  fill(filters.transition, data.transitions);
  fill(filters.tag, data.tags);
  fill(filters.state, data.states);
  listen();
  find("still").hidden = true;
  find("filters").hidden = false;
  find("rows").hidden = false;
  apply();
  document.documentElement.dataset.ready = "yes";
})();
