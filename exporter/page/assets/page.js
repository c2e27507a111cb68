// Keeps an open page current: fetches its own address again and takes over what differs. Without this file everything
// can still be read. Nodes that stay the same are kept, so that focus, scroll and what is unfolded stay where they are.
(() => {
  "use strict";
  const every = Math.max(2, Number(document.body.dataset.refresh) || 30) * 1000;
  const pause = document.getElementById("pause");
  const form = document.getElementById("filter");
  const said = document.getElementById("said");
  let paused = false, timer = 0, running = null, loaded = performance.now(), typing = 0;

  const key = (node) => node.nodeType === 1 ? node.dataset.key || node.id || "" : "";
  const same = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);

  function morph(old, now) {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    if (old.isEqualNode(now)) return;
    for (const { name } of [...old.attributes])
      if (!now.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    for (const { name, value } of now.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, now);
  }

  function children(old, now) {
    const keyed = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
    let at = old.firstChild;
    for (const wanted of [...now.childNodes]) {
      const known = key(wanted) ? keyed.get(key(wanted)) : at;
      if (known && same(known, wanted)) {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        morph(known, wanted);
      } else {
        old.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  const length = (seconds) =>
    seconds < 120 ? `${Math.round(seconds)}\u00a0s` : seconds < 7200 ? `${Math.round(seconds / 60)}\u00a0min` : `${Math.round(seconds / 3600)}\u00a0h`;

  function grow() {
    for (const node of document.querySelectorAll("[data-age]"))
      node.textContent = length(Number(node.dataset.age) + (performance.now() - loaded) / 1000);
  }

  function take(text) {
    const now = new DOMParser().parseFromString(text, "text/html");
    const before = document.querySelector("h1").textContent.trim();
    const focused = document.activeElement;
    for (const live of document.querySelectorAll("[data-live]")) {
      const other = now.getElementById(live.id);
      if (other) morph(live, other);
    }
    // What has been moved, or made anew in another group, has lost the focus.
    if (focused !== document.activeElement) {
      const href = focused.getAttribute("href");
      const again = focused.isConnected ? focused : href && document.querySelector(`main a[href="${CSS.escape(href)}"]`);
      if (again) again.focus({ preventScroll: true });
    }
    document.title = now.title;
    loaded = performance.now();
    const after = document.querySelector("h1").textContent.trim();
    if (after !== before) said.textContent = after;
  }

  function lost(yes) {
    const node = document.getElementById("lost");
    if (node) node.hidden = !yes;
  }

  async function refresh() {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = running = new AbortController();
    const limit = setTimeout(() => mine.abort(), 15000);
    try {
      const answer = await fetch(location.href, { signal: mine.signal, cache: "no-store", credentials: "same-origin" });
      const text = await answer.text();
      if (mine !== running) return;
      if (!answer.ok) throw new Error(String(answer.status));
      take(text);
      lost(false);
    } catch {
      if (mine === running) lost(true);
    } finally {
      clearTimeout(limit);
      if (mine === running) {
        running = null;
        next();
      }
    }
  }

  function next() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, every);
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) clearTimeout(timer);
    else refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!paused) refresh();
  });

  function ask() {
    clearTimeout(typing);
    const wanted = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) wanted.set(name, value);
    history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
    refresh();
  }
  if (form) {
    form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
    form.addEventListener("change", ask);
    form.addEventListener("input", (event) => {
      if (event.target.type !== "search") return;
      clearTimeout(typing);
      typing = setTimeout(ask, 250);
    });
  }
  setInterval(grow, 1000);
  next();
})();
