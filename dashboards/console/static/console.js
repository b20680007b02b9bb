// What a page does by itself: ages that count on, the banner when they are old, dialogs, keys.
"use strict";
(() => {
  const $ = (query, within = document) => within.querySelector(query);
  const $$ = (query, within = document) => [...within.querySelectorAll(query)];

  function span(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    const both = (many, unit, rest, less) => rest ? `${many} ${unit} ${rest} ${less}` : `${many} ${unit}`;
    if (whole < 600) return both(Math.floor(whole / 60), "m", whole % 60, "s");
    if (whole < 3600) return `${Math.floor(whole / 60)} m`;
    if (whole < 86400) return both(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "m");
    const days = Math.floor(whole / 86400);
    return days < 10 ? both(days, "d", Math.floor((whole % 86400) / 3600), "h") : `${days.toLocaleString("en")} d`;
  }

  // The server's clock counts, not this machine's.
  const skew = Number(document.body.dataset.now || 0) - Date.now();
  const now = () => Date.now() + skew;

  function set(node, text) { if (node.textContent !== text) node.textContent = text; }

  // Why the last part that was to be read anew was not.
  let unread = "";
  document.body.addEventListener("unread", (event) => { unread = event.detail.value; });
  document.addEventListener("htmx:afterSwap", () => { unread = ""; });

  function tick() {
    for (const node of $$("time[data-ago]")) {
      const age = (now() - Date.parse(node.dateTime)) / 1000;
      // Seconds beside minutes would make a table of ages flicker.
      const shown = age >= 60 && age < 3600 ? `${Math.floor(age / 60)} m` : span(age);
      set(node, age < 1 ? "just now" : `${shown} ago`);
    }
    for (const node of $$("time[data-since]")) set(node, span((now() - Date.parse(node.dateTime)) / 1000));
    for (const node of $$("time[data-until]")) {
      const left = (Date.parse(node.dateTime) - now()) / 1000;
      set(node, left > 0 ? `in ${span(Math.ceil(left))}` : "now");
    }
    const alive = $("[data-alive]"), banner = $("#stale");
    if (alive && banner) {
      const age = (now() - Number(alive.dataset.alive)) / 1000;
      const live = $("[data-live]"), calm = live && (still(live) || aiming(live));
      // What the page said when it was opened holds until something newer was read.
      const outages = $$("[data-outage]").filter((one) => Number(alive.dataset.alive) < Number(one.dataset.outage) || one.remove());
      banner.hidden = calm || outages.length > 0 || age <= Number(alive.dataset.limit);
      const why = alive.dataset.said || unread || "the console could not read anything newer.";
      if (!banner.hidden) set($("span", banner), `What you see is ${span(age)} old: ${why.replaceAll("`", "")}`);
    }
  }
  setInterval(tick, 1000);

  // An act that is being sent is not sent again by a second click.
  const acting = (event) => event.target.closest(event.type === "submit" ? "form[method=post], form[hx-post]" : "button[hx-post]");
  for (const kind of ["submit", "click"]) {
    document.addEventListener(kind, (event) => {
      const node = acting(event);
      if (!node) return;
      if (node.dataset.sent) { event.preventDefault(); event.stopImmediatePropagation(); } else node.dataset.sent = "1";
    }, true);
  }
  const sendable = (node) => { delete node.dataset.sent; };
  document.addEventListener("htmx:afterRequest", (event) => { if (!event.detail.xhr.getResponseHeader("HX-Redirect")) sendable(event.target); });
  // Back: the page is as it was left.
  addEventListener("pageshow", (event) => { if (event.persisted) $$("[data-sent]").forEach(sendable); });

  // Dialogs: a button names the one it opens, and what it fills in.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (opener.dataset.action) $("form", dialog).setAttribute("hx-post", opener.dataset.action);
      for (const node of $$("[data-say]", dialog)) set(node, opener.dataset[node.dataset.say] || "");
      if (opener.dataset.action) htmx.process($("form", dialog));
      const fill = $("[data-fill]", dialog);
      if (fill) {
        // One cause by its own button, or everything that fits: that alone, whatever else is marked.
        const own = document.createElement("input"), everything = "everything" in opener.dataset;
        own.type = "hidden"; own.name = everything ? "all" : "cause"; own.value = everything ? "1" : opener.dataset.value || "";
        fill.replaceChildren(...(own.value ? [own] : []));
        $("form", dialog).setAttribute("hx-include", own.value ? "unset" : "[data-marked]:checked");
      }
      dialog.showModal();
    }
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    const copied = event.target.closest("[data-copy]");
    if (copied) navigator.clipboard?.writeText(copied.dataset.copy).then(() => { copied.classList.add("done"); setTimeout(() => copied.classList.remove("done"), 1500); });
    if (event.target.matches("[data-all]")) $$(`input[name="${event.target.dataset.all}"]`).forEach((box) => { box.checked = event.target.checked; });
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const dialog = event.target.closest("dialog");
    // A dry run only tells; the act itself may follow it.
    const dry = event.detail.requestConfig?.triggeringEvent?.submitter?.name === "dry_run";
    if (dialog && event.detail.successful && !dry) { dialog.close(); $("form", dialog)?.reset(); }
  });
  document.addEventListener("htmx:sendError", () => toast("The console does not answer. What was done before stands; try again in a moment."));

  function toast(text) {
    const node = document.createElement("p");
    node.className = "toast bad"; node.setAttribute("role", "alert"); node.textContent = text;
    $("#toasts").append(node);
  }
  setInterval(() => {
    for (const node of $$("#toasts .toast")) {
      node.dataset.age = Number(node.dataset.age || 0) + 1;
      if (node.dataset.age > (node.classList.contains("bad") ? 12 : 6)) node.remove();
    }
  }, 1000);

  function switchTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    htmx.ajax("POST", "/theme", { values: { theme: root.dataset.theme }, swap: "none" });
    document.dispatchEvent(new Event("themed"));
  }

  // How many fit stands in the buttons about all of them, too.
  document.addEventListener("htmx:afterSwap", () => {
    const known = $("[data-fitting]");
    for (const button of known ? $$("[data-everything]") : []) {
      const shown = $("[data-fits]", button);
      if (shown) { set(shown, known.textContent); button.dataset.number = known.textContent; }
    }
  });

  // Rows and keys.
  let row = -1;
  function choose(step) {
    const rows = $$("tr.row");
    if (!rows.length) return;
    row = Math.min(rows.length - 1, Math.max(0, row + step));
    rows.forEach((one, at) => one.setAttribute("aria-selected", String(at === row)));
    rows[row].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    const chosen = $('tr.row[aria-selected="true"]');
    switch (event.key) {
      case "/": { const box = $("[data-search]"); if (box) { event.preventDefault(); box.focus(); box.select(); } break; }
      case "j": choose(1); break;
      case "k": choose(-1); break;
      case "Enter": if (chosen) $("a.main", chosen)?.click(); break;
      case "x": { const box = chosen && $("input[type=checkbox]", chosen); if (box) box.click(); break; }
      case "r": (chosen ? $("[data-key=r]", chosen) : null)?.click() ?? $("main [data-key=r]")?.click(); break;
      case "?": $("#keys")?.showModal(); break;
      default:
    }
  });

  // A log comes line by line; whoever reads its end stays there. After a break the stream begins anew, with lines that are here.
  const log = $("[data-log]");
  if (log) {
    log.scrollTop = log.scrollHeight;
    new EventSource(log.dataset.log).addEventListener("lines", (event) => {
      const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 24;
      const came = document.createRange().createContextualFragment(event.data);
      log.append(...$$(".line", came).filter((line) => !document.getElementById(line.id)));
      while (log.children.length > 500) log.firstElementChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
      const lines = log.children.length;
      set($("[data-lines]"), `${lines} line${lines === 1 ? "" : "s"}`);
    });
  }

  // What a person opened stays open when the page reads itself anew.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details"));

  // What a page asks for because it is open, and not because somebody did something, is read in its turn.
  document.addEventListener("htmx:configRequest", (event) => {
    const node = event.target;
    if (!event.detail.triggeringEvent && event.detail.verb === "get" && (node.matches("[data-live]") || node.dataset.asked)) event.detail.headers["X-Live"] = "1";
    node.dataset.asked = "1";
  });
  // Whoever comes back to a page sees it as it is now.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) document.body.dispatchEvent(new Event("changed")); });

  // A list keeps still while somebody paused it, has marked rows, or is about to press a button in a row; what they did shows at once.
  const pressing = (live) => $("tr.row :active", live), aiming = (live) => $("tr.row .button:hover", live);
  const asked = (event) => event.detail.requestConfig.triggeringEvent?.type === "changed";
  const still = (live) => live.dataset.paused === "1" || document.hidden || $("input:checked", live);
  let missed = false;
  const moves = (event, live) => {
    const waits = pressing(live) || (aiming(live) && !asked(event));
    if (waits) missed = true;
    return !waits;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const live = event.target;
    if (live.matches("[data-live]") && (still(live) || !moves(event, live))) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.matches("[data-live]") && !moves(event, event.target)) event.detail.shouldSwap = false;
  });
  for (const kind of ["mouseout", "mouseup"]) {
    document.addEventListener(kind, (event) => {
      if (missed && event.target.closest("tr.row")) { missed = false; document.body.dispatchEvent(new Event("changed")); }
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pause]");
    if (!button) return;
    const live = $("[data-live]"), paused = live.dataset.paused !== "1";
    live.dataset.paused = paused ? "1" : "";
    button.setAttribute("aria-pressed", String(paused)); set($("span", button), paused ? "Paused" : "Live");
  });
})();
