// The charts of a page: uPlot over the figures of /figures, in the colours of the page.
"use strict";
(() => {
  const nodes = [...document.querySelectorAll("[data-chart]")];
  if (!nodes.length) return;
  // A colour has two values until an element uses it.
  const probe = document.body.appendChild(Object.assign(document.createElement("i"), { hidden: true }));
  const colour = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  let drawn = [], figures = null;

  const seconds = (value) => value == null ? "–" : value === 0 ? "0" : value < 1 ? `${Math.round(value * 1000)} ms` : value < 90 ? `${+value.toFixed(value < 10 ? 1 : 0)} s` : value < 5400 ? `${Math.round(value / 60)} m` : `${+(value / 3600).toFixed(1)} h`;
  const clock = (at, point) => {
    const time = new Date(at * 1000);
    return point > 3600 ? time.toLocaleDateString("en", { weekday: "short", day: "numeric" }) : time.toTimeString().slice(0, 5);
  };
  const count = (value) => value == null ? "–" : Number.isInteger(value) ? value.toLocaleString("en") : "";
  const KINDS = {
    throughput: { series: [["completed", "Completed", "--good-mark"], ["failed", "Failed", "--bad-mark"]], bars: true, say: count },
    wait: { series: [["wait_p50", "p50", "--run-mark"], ["wait_p95", "p95", "--retry-mark"]], say: seconds },
    duration: { series: [["duration_p50", "p50", "--run-mark"], ["duration_p95", "p95", "--retry-mark"]], say: seconds },
  };

  function options(kind, node) {
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--faint"), font: "11px Inter", grid, ticks: { show: false } };
    const bars = kind.bars ? { paths: uPlot.paths.bars({ size: [0.7, 22], radius: 0.15 }) } : {};
    return {
      width: node.clientWidth, height: node.clientHeight,
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, kind.bars ? 4 : 0.5) * 1.12] } },
      axes: [{ ...axis, grid: { show: false }, space: 60, size: 26, values: (_, splits) => splits.map((at) => clock(at, figures.point)) }, { ...axis, size: 46, values: (_, splits) => splits.map(kind.say) }],
      series: [{}, ...kind.series.map(([, label, name]) => ({
        label, stroke: colour(name), width: kind.bars ? 0 : 1.75, fill: kind.bars ? colour(name) : undefined,
        points: { show: !kind.bars, size: 4 }, spanGaps: false, ...bars,
      }))],
      hooks: { setCursor: [(plot) => told(plot, kind, node)] },
    };
  }

  function told(plot, kind, node) {
    const at = plot.cursor.idx;
    const legend = node.parentElement.querySelector(".legend");
    kind.series.forEach(([name], number) => {
      const value = at == null ? sum(kind, name) : kind.say(plot.data[kind.at[number] + 1][at]);
      const slot = legend.querySelectorAll("b")[number];
      if (slot) slot.textContent = value;
    });
    const when = legend.querySelector(".at");
    if (when) when.textContent = at == null ? "" : new Date(plot.data[0][at] * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  }
  const sum = (kind, name) => kind.bars ? count(Math.round(figures[name].reduce((all, one) => all + (one || 0), 0))) : "";

  function draw() {
    drawn.forEach((plot) => plot.destroy());
    drawn = nodes.map((node) => {
      const kind = KINDS[node.dataset.chart];
      kind.at = kind.series.map((_, number) => number);
      // Bars stand on each other: what failed is drawn over the sum's foot.
      const rows = kind.series.map(([name]) => figures[name]);
      const data = kind.bars ? [figures.at, rows[0].map((one, at) => one + rows[1][at]), rows[1]] : [figures.at, ...rows];
      node.replaceChildren();
      node.removeAttribute("data-unread");
      const plot = new uPlot(options(kind, node), data, node);
      told(plot, kind, node);
      const nothing = rows.every((row) => row.every((one) => !one));
      node.toggleAttribute("data-nothing", nothing);
      return plot;
    });
    const began = document.querySelector("[data-began]");
    if (began) began.textContent = figures.began ? `History begins ${new Date(figures.began * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}` : "";
  }

  async function load() {
    if (document.hidden && figures) return;
    try {
      const answer = await fetch(nodes[0].dataset.from, { headers: { "HX-Request": "true" } });
      if (answer.ok) { figures = await answer.json(); draw(); return; }
    } catch { /* the banner says that the console does not answer */ }
    if (figures) return;
    for (const node of nodes) { node.textContent = "Cannot be read now; tried again every ten seconds."; node.toggleAttribute("data-unread", true); }
  }
  load();
  setInterval(load, 10000);
  document.addEventListener("themed", () => figures && draw());
  addEventListener("resize", () => figures && draw());
})();
