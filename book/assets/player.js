// The trace player: steps through the tree of stories that stands in the page. Keys, while the player has the focus:
// → steps, ← goes back, Home begins again, 1 to 9 choose.
(() => {
  "use strict";
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  function start(figure) {
    const { lanes, texts, nodes } = JSON.parse(figure.querySelector("script").textContent);
    const node = (at) => {
      const [lane, text, buffer, time, asked, next] = nodes[at];
      return { lane, text: texts[text], buffer, time, asked: texts[asked], next };
    };
    const body = figure.querySelector("tbody");
    const scroll = figure.querySelector(".player-scroll");
    const hasBuffer = figure.querySelectorAll("thead th").length > lanes.length;
    figure.querySelector(".player-script").remove();

    const status = element("p", "player-status");
    status.setAttribute("role", "status");
    const choices = element("div", "player-choices");
    const controls = element("div", "player-controls");
    const button = (text, label, act) => {
      const made = element("button", "", text);
      made.type = "button";
      made.title = label;
      made.addEventListener("click", act);
      return made;
    };
    const rewind = button("Start", "Begin again (Home)", () => show([0]));
    const back = button("Back", "One step back (←)", () => path.length > 1 && show(path.slice(0, -1)));
    const step = button("Step", "One step on; where something is decided, the kind one (→)", () => go(0));
    const count = element("span", "player-count");
    controls.append(rewind, back, step, count);
    figure.append(status, choices, controls);

    let path = [0];

    function go(nth) {
      const { next } = node(path.at(-1));
      if (nth < next.length) show([...path, next[nth][1]]);
    }

    function row(at, before) {
      const { lane, text, buffer } = node(at);
      const made = element("tr");
      lanes.forEach((_, nth) => made.append(element("td", "", nth === lane ? text : "")));
      if (hasBuffer) {
        const cell = element("td", "player-buffer", buffer);
        cell.dataset.whose = buffer;
        made.append(cell);
      }
      if (text.startsWith("✗")) made.classList.add("player-wrong");
      const rows = [made];
      // What was decided on the way here.
      if (before !== undefined && node(before).asked) {
        const { asked, next } = node(before);
        const nth = next.findIndex(([, to]) => to === at);
        const note = element("tr", "player-asked");
        const cell = element("td", "", `${asked} `);
        cell.colSpan = lanes.length + (hasBuffer ? 1 : 0);
        cell.append(element("em", nth > 0 ? "player-deviation" : "", texts[next[nth][0]]));
        note.append(cell);
        rows.unshift(note);
      }
      return rows;
    }

    function show(to) {
      const hadFocus = figure.contains(document.activeElement);
      path = to;
      const { lane, text, buffer, time, asked, next } = node(path.at(-1));
      body.replaceChildren(...path.flatMap((at, nth) => row(at, path[nth - 1])));
      body.lastElementChild.classList.add("player-now");
      scroll.scrollTop = scroll.scrollHeight;

      const whose = buffer ? ` The buffer is ${buffer}.` : "";
      const clock = time ? ` ${time / 1e6} ms.` : "";
      const end = next.length ? "" : " The story is over.";
      status.textContent = `${lanes[lane]}: ${text}.${whose}${clock}${end}`;

      choices.replaceChildren();
      if (asked) {
        choices.append(element("p", "", asked));
        next.forEach(([label], nth) => {
          choices.append(button(`${nth + 1}  ${texts[label]}`, nth ? "" : "The kind one", () => go(nth)));
        });
      }
      rewind.disabled = back.disabled = path.length === 1;
      step.disabled = !next.length;
      count.textContent = `step ${path.length} · keys ← → Home 1–9`;
      // A button that is gone or can't be used would leave the focus nowhere.
      if (hadFocus && (!figure.contains(document.activeElement) || document.activeElement.disabled)) {
        (choices.querySelector("button") ?? figure).focus({ preventScroll: true });
      }
    }

    // On paper an untouched player shows the kind story; a touched one what the reader has made of it.
    let untouched = null;
    addEventListener("beforeprint", () => {
      if (path.length > 1) return;
      untouched = path;
      const whole = [0];
      for (let next; (next = node(whole.at(-1)).next).length; ) whole.push(next[0][1]);
      show(whole);
    });
    addEventListener("afterprint", () => {
      if (untouched) show(untouched);
      untouched = null;
    });

    figure.tabIndex = -1;
    figure.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const digit = Number(event.key);
      if (event.key === "ArrowRight") go(0);
      else if (event.key === "ArrowLeft") back.click();
      else if (event.key === "Home") rewind.click();
      else if (digit >= 1) { if (node(path.at(-1)).asked) go(digit - 1); }
      else {
        // mdBook takes letters for its own keys; Tab and Enter are the browser's.
        event.stopPropagation();
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    });
    show(path);
  }

  for (const figure of document.querySelectorAll("figure.player")) start(figure);
})();
