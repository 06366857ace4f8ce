// Follows the engine live: takes the parts that changed from the stream, without moving what the reader uses. Links and
// buttons work without this file; with it they act in place.
"use strict";
(() => {
  const reader = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  const say = document.getElementById("say");
  const problem = document.getElementById("problem");
  let stream = null;
  let typing = null;
  let goal = null;

  // --- Times: the world's clock is the reader's plus what the world is ahead of it.

  const worldNow = () => Date.now() + Number(document.getElementById("clock")?.dataset.ahead ?? 0);

  function span(seconds) {
    if (seconds >= 2 * 86400) return `${Math.floor(seconds / 86400)} d`;
    if (seconds >= 2 * 3600) return `${Math.floor(seconds / 3600)} h`;
    if (seconds >= 120) return `${Math.floor(seconds / 60)} min`;
    return `${seconds} s`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick(root = document) {
    const now = worldNow();
    for (const time of root.querySelectorAll("time.ago")) {
      const passed = Math.min(Math.trunc((now - Date.parse(time.dateTime)) / 1000), time.matches(".until") ? 0 : Infinity);
      write(time, passed > 0 ? `${span(passed)} ago` : passed < 0 ? `in ${span(-passed)}` : "now");
    }
    const clock = document.getElementById("clock");
    if (clock) write(clock, new Date(now).toISOString().slice(11, 19));
  }

  // --- Parts: the old element becomes the new one, keeping focus, scroll, what is unfolded and what is typed.

  function same(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
  }

  function become(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    const kept = ["tabindex"];
    if (old.nodeName === "DETAILS") kept.push("open");
    if (old.matches("time.ago, #clock") && fresh.textContent === "") fresh.textContent = old.textContent;
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    // What the reader types into a field of their own (data-mine) is theirs.
    if (old.matches("input:not([data-mine])") && document.activeElement !== old && old.value !== fresh.value) old.value = fresh.value;
    if (old.matches("output") && document.activeElement === old.previousElementSibling) return;
    fill(old, fresh);
  }

  function fill(old, fresh) {
    const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const known = next.id ? byId.get(next.id) : null;
      if (known && known !== at) old.insertBefore(known, at);
      const here = known ?? at;
      if (here && same(here, next)) {
        // Places of other parts are theirs to fill.
        if (!(next.dataset && "part" in next.dataset)) become(here, next);
        at = here.nextSibling;
      } else {
        old.insertBefore(next, at);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  function show(parts) {
    const story = document.getElementById("chapters");
    const before = story && new Set([...story.children].map((chapter) => chapter.id));
    const title = story?.dataset.of;
    performance.mark("update");
    for (const { id, html } of parts) {
      const part = document.getElementById(id);
      if (!part) continue;
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      fill(part, fresh.content);
      // The reader's script writes relative times at once, so nothing is painted without them.
      tick(part);
    }
    const after = document.getElementById("chapters");
    if (before && after && after.dataset.of === title) {
      const added = [...after.children].filter((chapter) => !before.has(chapter.id)).slice(0, 3).reverse();
      if (added.length) say.textContent = added.map((one) => one.querySelector(".title").textContent).join(". ");
    }
    rove();
    performance.measure("update", "update");
    // What a link leads to is there now.
    const there = goal && document.getElementById(goal);
    if (there?.childElementCount) {
      there.scrollIntoView({ block: wide() ? "nearest" : "start" });
      goal = null;
    }
  }

  // --- The stream.

  function query() {
    return new URLSearchParams(location.search);
  }

  function listen() {
    stream?.close();
    const view = query();
    view.set("reader", reader);
    stream = new EventSource(`/events?${view}`);
    stream.addEventListener("parts", (event) => {
      show(JSON.parse(event.data));
      document.documentElement.dataset.live = "yes";
    });
    stream.addEventListener("error", () => {
      document.documentElement.dataset.live = "no";
      // A browser gives up on some answers: ask again.
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    });
  }

  async function look(address, push) {
    if (push) history.pushState(null, "", address);
    const subject = document.body.dataset.subject ?? query().get("device");
    document.title = subject ? `${subject} · Automation Engine` : "Automation Engine";
    const answer = await fetch(`/events/${reader}`, { method: "POST", body: query() });
    if (!answer.ok) listen();
  }

  // --- Links, buttons, search.

  async function act(form, button) {
    const options = { method: "POST", headers: { "X-Script": "1" } };
    const data = new URLSearchParams(new FormData(form, button));
    if ([...data.keys()].length) options.body = data;
    const answer = await fetch(form.action, options);
    problem.textContent = answer.ok ? "" : await answer.text();
    if (answer.status === 200) go(await answer.text());
  }

  function go(address) {
    const part = new URL(address, location.href).hash.slice(1);
    look(address, true).catch(fail);
    if (part === "trace") goal = part;
    if (part === "device") document.getElementById("device-title").focus({ preventScroll: wide() });
  }

  const wide = () => matchMedia("(min-width: 75rem)").matches;
  const fail = (error) => { problem.textContent = `The engine does not answer (${error.message}).`; };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='/']:not([data-load])");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    event.preventDefault();
    if (form.method === "post") act(form, event.submitter).catch(fail);
    // What is searched for is found while it is typed.
    else if (form.matches("[data-find]")) open().catch(fail);
  });

  // Enter in the search opens the first edge that is found.
  async function open() {
    const view = query();
    view.set("search", document.getElementById("search").value);
    const answer = await fetch(`/find?${view}`);
    problem.textContent = answer.ok ? "" : await answer.text();
    if (answer.ok) go(await answer.text());
  }

  document.addEventListener("input", (event) => {
    const { target } = event;
    if (target.matches("input[type=range]")) {
      target.nextElementSibling.value = `${target.value} ms`;
      target.setAttribute("aria-valuetext", `${target.value} ms`);
    }
    if (target.id !== "search") return;
    clearTimeout(typing);
    typing = setTimeout(() => {
      const view = query();
      if (target.value) view.set("search", target.value);
      else view.delete("search");
      history.replaceState(null, "", `/?${view}`);
      look(null, false).catch(fail);
    }, 120);
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) act(form).catch(fail);
  });

  addEventListener("popstate", () => look(null, false).catch(fail));

  // --- Cells: one stop of the Tab key for each customer, arrows within.

  function rove() {
    for (const list of document.querySelectorAll(".cells")) {
      const cells = [...list.querySelectorAll(".cell")];
      const stop = cells.find((cell) => cell === document.activeElement)
        ?? cells.find((cell) => cell.getAttribute("aria-current")) ?? cells.find((cell) => cell.tabIndex === 0) ?? cells[0];
      for (const cell of cells) {
        const index = cell === stop ? 0 : -1;
        if (cell.getAttribute("tabindex") !== String(index)) cell.setAttribute("tabindex", index);
      }
    }
  }

  document.addEventListener("keydown", (event) => {
    const cell = event.target.closest?.(".cell");
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    const row = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!cell || (step === undefined && row === undefined)) return;
    event.preventDefault();
    const cells = [...document.querySelectorAll(".cell")];
    const at = cells.indexOf(cell);
    let next;
    if (row) {
      const here = cell.getBoundingClientRect();
      const below = cells.map((one) => [one, one.getBoundingClientRect()]).filter(([, box]) => (box.top - here.top) * row > 4);
      const distance = ([, box]) => Math.abs(box.top - here.top) * 100 + Math.abs(box.left - here.left);
      next = below.sort((one, other) => distance(one) - distance(other))[0]?.[0];
    } else {
      next = cells[Math.min(Math.max(at + step, 0), cells.length - 1)];
    }
    if (!next) return;
    for (const one of next.closest(".cells").querySelectorAll(".cell")) one.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  setInterval(() => tick(), 1000);
  tick();
  rove();
  listen();
})();
