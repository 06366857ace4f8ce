// Follows the stream of changes: fetches the page again and replaces the marked parts that the reader is not using.
"use strict";
(() => {
  const period = 1000;
  let due = false;
  let timer = null;

  const busy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, select");

  async function refresh() {
    timer = null;
    due = false;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || busy(part) || part.innerHTML === next.innerHTML) continue;
      const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      for (const id of open) next.querySelector("#" + CSS.escape(id))?.setAttribute("open", "");
      part.replaceChildren(...next.childNodes);
      if (focused) part.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    }
    if (due) plan();
  }

  function plan() {
    due = true;
    if (timer === null) timer = setTimeout(() => refresh().catch(() => { timer = null; }), period);
  }

  const changes = new EventSource("/control/changes");
  changes.addEventListener("change", plan);
  changes.addEventListener("missed", plan);
  changes.addEventListener("open", plan);
  setInterval(plan, 15000);
})();
