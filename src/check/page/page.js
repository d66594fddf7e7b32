"use strict";
// The page of one failure. All that it shows stands in `story`; it asks nobody for anything.
(() => {
  const story = JSON.parse(document.getElementById("story").textContent);
  const body = document.querySelector("table.lanes tbody");
  const head = document.querySelector("table.lanes thead tr");
  const slider = document.getElementById("slider");
  const detail = document.getElementById("detail");
  const said = document.getElementById("said");
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  for (const title of ["", "time", "step", "kernel", ...story.lanes, "rest", "source"]) {
    const th = make("th", "", title);
    th.scope = "col";
    head.append(th);
  }
  const column = (line) => line.lane === null ? "rest" : line.lane;
  let time = null;
  const rows = story.lines.map((line, index) => {
    const row = make("tr", "row");
    row.tabIndex = -1;
    if (line.deviation) row.classList.add("deviation");
    if (line.failure) row.classList.add("failure");
    row.append(make("td", "mark", line.failure ? "\u2715" : line.deviation ? "!" + (line.mark || "") : ""));
    row.append(make("td", "at", line.time === time ? "" : line.time));
    time = line.time;
    row.append(make("td", "step", line.name));
    for (const lane of ["kernel", ...story.lanes, "rest"]) {
      const td = make("td", "lane");
      if (column(line) === lane) td.append(make("span", "cell", line.cell));
      row.append(td);
    }
    row.append(make("td", "source at", line.place ? line.place.split("/").pop() : ""));
    row.addEventListener("click", () => show(index));
    row.addEventListener("mouseenter", () => mark(index));
    row.addEventListener("mouseleave", () => mark(now));
    body.append(row);
    return row;
  });

  const started = new Map();
  story.lines.forEach((line, index) => {
    if (line.start && !started.has(line.event)) started.set(line.event, index);
  });

  let now = rows.length - 1;
  // Everything of the same operation, and what started it.
  const mark = (index) => {
    const line = story.lines[index];
    if (!line) return;
    const cause = started.get(line.cause);
    rows.forEach((row, at) => {
      row.classList.toggle("same", at !== now && (story.lines[at].event === line.event || at === cause));
    });
  };
  const show = (index, scroll = true) => {
    if (!rows.length) return;
    now = Math.max(0, Math.min(rows.length - 1, index));
    rows.forEach((row, at) => {
      row.classList.toggle("later", at > now);
      row.classList.toggle("now", at === now);
    });
    mark(now);
    slider.value = String(now);
    said.textContent = `${now + 1} of ${rows.length}`;
    if (scroll) rows[now].scrollIntoView({ block: "nearest" });
    tell(story.lines[now]);
  };
  const tell = (line) => {
    const list = make("dl");
    const entry = (title, text) => list.append(make("dt", "", title), make("dd", "", text));
    entry("what", `${line.name}  ${line.text}`);
    entry("when", line.time);
    if (line.place) entry("started at", line.place);
    const seen = new Set();
    let cause = line.cause;
    let depth = 0;
    while (started.has(cause) && !seen.has(cause) && depth < 24) {
      seen.add(cause);
      const by = story.lines[started.get(cause)];
      entry(depth === 0 ? "because of" : "", `${by.name}  ${by.text}${by.place ? "  at " + by.place : ""}`);
      cause = by.cause;
      depth += 1;
    }
    detail.replaceChildren(list);
  };

  slider.max = String(Math.max(0, rows.length - 1));
  slider.addEventListener("input", () => show(Number(slider.value)));
  const go = { first: () => show(0), back: () => show(now - 1), on: () => show(now + 1), last: () => show(rows.length - 1) };
  const next = () => {
    const at = story.lines.findIndex((line, index) => index > now && (line.deviation || line.failure));
    show(at < 0 ? rows.length - 1 : at);
  };
  for (const [id, action] of Object.entries({ ...go, next })) {
    document.getElementById(id).addEventListener("click", action);
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const action = { ArrowLeft: go.back, ArrowUp: go.back, ArrowRight: go.on, ArrowDown: go.on, Home: go.first, End: go.last, n: next }[event.key];
    if (!action || (event.target === slider && event.key !== "n")) return;
    event.preventDefault();
    action();
  });
  document.querySelectorAll("ol.deviations button").forEach((button) => {
    const number = Number(button.dataset.mark);
    button.addEventListener("click", () => {
      const at = story.lines.findIndex((line) => line.mark === number);
      if (at >= 0) show(at);
    });
  });
  // The reader begins at the verdict, not at the last row.
  show(rows.length - 1, false);
})();
