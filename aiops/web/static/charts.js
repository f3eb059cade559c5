// One policy over time: load with its forecast, replicas by who wants them, anomalies and actions, on one axis of time.
"use strict";

(() => {
  const { tell } = window.aiops;
  const REFRESH_MS = { "0.5": 2000, "1": 2000, "6": 5000, "24": 15000, "168": 60000 };
  const AHEAD_RATIO = 0.2;
  const TABLE_ROWS = 60;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const step = uPlot.paths.stepped({ align: 1 });
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
  const date = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

  function short(value) {
    if (value == null || Number.isNaN(value)) return "-";
    const size = Math.abs(value);
    if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
    if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
    return size >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
  }

  // -- from the answer to columns: the past on its ticks, then the forecast on its own grid

  function future(answer) {
    const { forecast, since, until } = answer;
    if (!forecast) return { at: [], low: [], mid: [], high: [] };
    const last = answer.curves.at.at(-1) ?? until, most = last + (until - since) * AHEAD_RATIO;
    const out = { at: [], low: [], mid: [], high: [] };
    forecast.paths[1].forEach((mid, n) => {
      const at = forecast.issued_at + (n + 1) * forecast.step_s;
      if (at <= last || at > most) return;
      out.at.push(at);
      out.low.push(forecast.paths[0][n]);
      out.mid.push(mid);
      out.high.push(forecast.paths[2][n]);
    });
    return out;
  }

  function wishesOn(grid, wishes) {
    const out = { reactive: [], forecast: [], backlog: [], got: [], at: [] };
    let n = -1;
    for (const at of grid) {
      while (n + 1 < wishes.length && wishes[n + 1].at <= at) n += 1;
      const one = n < 0 ? null : wishes[n];
      for (const name of ["reactive", "forecast", "backlog", "got"]) out[name].push(one?.[name] ?? null);
      out.at.push(one);
    }
    return out;
  }

  function columns(answer) {
    const { curves } = answer, ahead = future(answer);
    const blank = ahead.at.map(() => null), grid = [...curves.at, ...ahead.at];
    const upper = curves.ahead_p95.map((value, n) => value ?? curves.ahead[n]);
    const wishes = wishesOn(curves.at, answer.wishes);
    return {
      grid, wishes,
      load: [grid, [...curves.demand, ...blank], [...upper, ...ahead.high], [...curves.ahead_p50, ...ahead.low], [...curves.capacity, ...blank], [...blankOf(curves.at), ...ahead.mid]],
      replicas: [grid, [...curves.ready, ...blank], [...wishes.reactive, ...blank], [...wishes.forecast, ...blank], [...wishes.backlog, ...blank], [...wishes.got, ...blank]],
    };
  }

  const blankOf = (list) => list.map(() => null);

  // -- drawing

  function axes(unit) {
    const quiet = colour("--quiet"), line = colour("--line"), font = "11px system-ui, sans-serif";
    const grid = { stroke: line, width: 1 }, ticks = { show: false };
    return [
      { stroke: quiet, font, grid, ticks, space: 70, values: [
        [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
        [3600, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        [60, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        [1, "{HH}:{mm}:{ss}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
      ] },
      { stroke: quiet, font, grid, ticks, size: 58, values: (_, values) => values.map(short), label: unit, labelFont: font, labelSize: 16, labelGap: 2 },
    ];
  }

  const worded = (v, unit) => (v == null ? "-" : `${short(v)} ${unit}`.trim());
  const lastOf = (column) => column?.findLast((v) => v != null);

  function line(label, tone, unit, more = {}) {
    return { label, stroke: colour(tone), width: 2, points: { show: false }, value: (plot, v, n, at) => worded(at == null ? lastOf(plot.data[n]) : v, unit), spanGaps: false, ...more };
  }

  const faint = (tone, ratio) => {
    const value = colour(tone).replace("#", "");
    const part = (n) => parseInt(value.slice(n, n + 2), 16);
    return `rgba(${part(0)}, ${part(2)}, ${part(4)}, ${ratio})`;
  };

  function marks(box, withActions) {
    return (plot) => {
      const { ctx, bbox } = plot, { answer } = box;
      const dpr = devicePixelRatio || 1, x = (at) => plot.valToPos(at, "x", true);
      const clamp = (px) => Math.min(Math.max(px, bbox.left), bbox.left + bbox.width);
      ctx.save();
      for (const one of answer.findings) {
        const left = clamp(x(one.since)), right = clamp(Math.max(x(one.until), x(one.since) + 2 * dpr));
        if (right <= left) continue;
        ctx.fillStyle = faint("--red", 0.05);
        ctx.fillRect(left, bbox.top, right - left, bbox.height);
        ctx.fillStyle = colour("--red");
        ctx.fillRect(left, bbox.top, right - left, 3 * dpr);
      }
      const now = x(answer.until);
      if (now > bbox.left && now < bbox.left + bbox.width - 2) {
        ctx.strokeStyle = colour("--quiet");
        ctx.setLineDash([4 * dpr, 4 * dpr]);
        ctx.beginPath();
        ctx.moveTo(now, bbox.top);
        ctx.lineTo(now, bbox.top + bbox.height);
        ctx.stroke();
      }
      if (withActions) {
        ctx.setLineDash([]);
        for (const one of answer.actions) {
          const px = x(one.at), up = one.after > one.before, size = 5 * dpr;
          if (px < bbox.left || px > bbox.left + bbox.width) continue;
          const base = bbox.top + bbox.height - 2 * dpr, top = up ? base - 1.8 * size : base;
          ctx.fillStyle = colour(one.dry_run ? "--quiet" : "--text");
          ctx.beginPath();
          ctx.moveTo(px, top);
          ctx.lineTo(px - size, up ? base : base - 1.8 * size);
          ctx.lineTo(px + size, up ? base : base - 1.8 * size);
          ctx.fill();
        }
      }
      ctx.restore();
    };
  }

  function options(box, host, kind) {
    const { answer } = box, unit = kind === "load" ? answer.unit : "replicas";
    const zoomed = (plot, key) => { if (key === "x") box.zoomed(plot); };
    const series = kind === "load"
      ? [line(answer.demand || "demand", "--blue", unit), line("forecast, upper end", "--orange", unit, { width: 1, dash: [4, 3] }), line("forecast, lower end", "--orange", unit, { width: 1, dash: [1, 3] }), line("ready replicas carry", "--green", unit, { paths: step, fill: faint("--green", 0.07) }), line("forecast, middle", "--orange", unit, { width: 1.5 })]
      : [line("ready", "--green", "", { paths: step, fill: faint("--green", 0.12) }), line("load now wants", "--blue", "", { paths: step, width: 1.5 }), line("forecast wants", "--orange", "", { paths: step, width: 1.5, dash: [4, 3] }), line("backlog wants", "--violet", "", { paths: step, width: 1.5, dash: [1, 3] }), line("left by limits", "--text", "", { paths: step })];
    const none = (column) => box.columns[kind][column].every((v) => v == null);
    series.forEach((one, n) => { if (none(n + 1)) one.class = "absent"; });
    return {
      width: Math.max(280, host.clientWidth), height: kind === "load" ? (box.compact ? 210 : 250) : 190,
      tzDate: utc, padding: [8, 12, 0, 0],
      cursor: { sync: { key: `policy-${box.root.dataset.policy}` }, points: { size: 7 }, drag: { x: true, y: false, uni: 20 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 1, 1e-9) * 1.08] } },
      axes: axes(unit || "load"),
      legend: { live: true },
      bands: kind === "load" ? [{ series: [2, 3], fill: faint("--orange", 0.16) }] : [],
      series: [{ label: "UTC", value: (plot, v, _, at) => { const shown = at == null ? box.answer.curves.at.at(-1) : v; return shown == null ? "-" : `${date(shown).slice(5, 10)} ${clock(shown)}`; } }, ...series],
      hooks: { draw: [marks(box, kind === "replicas" || box.compact)], setScale: [zoomed] },
    };
  }

  class Box {
    constructor(root) {
      this.root = root;
      this.compact = root.dataset.compact !== undefined;
      this.hours = root.dataset.hours;
      this.plots = {};
      this.asked = 0;
      this.free = true;
      this.resetting = false;
      root.querySelectorAll("[data-hours]").forEach((button) => button.addEventListener("click", () => this.choose(button)));
      root.querySelector("[data-reset]").addEventListener("click", () => this.reset());
      root.querySelector("details").addEventListener("toggle", () => this.table());
      new ResizeObserver(() => this.fit()).observe(root);
      this.load();
    }

    choose(button) {
      this.hours = button.dataset.hours;
      this.root.querySelectorAll("[data-hours]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
      this.reset();
      this.load();
    }

    async load() {
      this.asked = Date.now();
      if (!this.free) return;
      this.free = false;
      const hours = this.hours;
      try {
        const answer = await tell("GET", `/api/v1/timeline?policy=${encodeURIComponent(this.root.dataset.policy)}&hours=${hours}`);
        if (hours === this.hours) this.show(answer);
      } catch (error) {
        if (!this.answer) this.say(`The curve cannot be drawn: ${error.message}`);
      } finally {
        this.free = true;
        if (hours !== this.hours) this.load();
      }
    }

    say(text) {
      const host = this.root.querySelector(".plot.load"), words = document.createElement("p");
      words.className = "loading";
      words.textContent = text;
      Object.values(this.plots).forEach((plot) => plot.destroy());
      this.plots = {};
      host.replaceChildren(words);
    }

    show(answer) {
      this.answer = answer;
      if (answer.curves.at.length < 2) { this.say("Nothing was recorded in this time yet."); return; }
      this.columns = columns(answer);
      const shape = JSON.stringify(["load", "replicas"].map((kind) => this.columns[kind].map((column) => column.some((v) => v != null))));
      if (shape !== this.shape) this.draw();
      else for (const [kind, plot] of Object.entries(this.plots)) plot.setData(this.columns[kind], !this.isZoomed);
      this.shape = shape;
      this.table();
    }

    draw() {
      Object.values(this.plots).forEach((plot) => plot.destroy());
      this.plots = {};
      this.resetting = true;
      for (const kind of this.compact ? ["load"] : ["load", "replicas"]) {
        const host = this.root.querySelector(`.plot.${kind}`);
        host.replaceChildren();
        this.plots[kind] = new uPlot(options(this, host, kind), this.columns[kind], host);
      }
      this.resetting = false;
    }

    zoomed(plot) {
      if (this.resetting || !this.columns) return;
      const { min, max } = plot.scales.x, grid = this.columns.grid;
      const whole = min <= grid[0] && max >= grid.at(-1);
      this.isZoomed = !whole;
      this.root.querySelector("[data-reset]").hidden = whole;
      for (const other of Object.values(this.plots)) {
        if (other !== plot && (other.scales.x.min !== min || other.scales.x.max !== max)) other.setScale("x", { min, max });
      }
    }

    reset() {
      this.isZoomed = false;
      this.root.querySelector("[data-reset]").hidden = true;
      if (!this.columns) return;
      const grid = this.columns.grid;
      Object.values(this.plots).forEach((plot) => plot.setScale("x", { min: grid[0], max: grid.at(-1) }));
    }

    fit() {
      for (const [kind, plot] of Object.entries(this.plots)) {
        const width = Math.max(280, this.root.querySelector(`.plot.${kind}`).clientWidth);
        if (width !== plot.width) plot.setSize({ width, height: plot.height });
      }
    }

    table() {
      const details = this.root.querySelector("details");
      if (!details.open || !this.columns) return;
      const { curves } = this.answer, heads = ["at, UTC", `demand, ${this.answer.unit || "load"}`, "forecast, upper end", "carried", "ready", "load now wants", "forecast wants", "left by limits"];
      const rows = curves.at.map((at, n) => [date(at), curves.demand[n], curves.ahead_p95[n] ?? curves.ahead[n], curves.capacity[n], curves.ready[n], this.columns.wishes.reactive[n], this.columns.wishes.forecast[n], this.columns.wishes.got[n]]);
      const stride = Math.max(1, Math.ceil(rows.length / TABLE_ROWS));
      const cells = (values, tag) => { const row = document.createElement("tr"); for (const v of values) { const cell = document.createElement(tag); cell.textContent = typeof v === "number" ? short(v) : v ?? "-"; row.append(cell); } return row; };
      const table = document.createElement("table"), head = document.createElement("thead"), body = document.createElement("tbody");
      head.append(cells(heads, "th"));
      body.append(...rows.filter((_, n) => n % stride === 0).reverse().map((row) => cells(row, "td")));
      table.append(head, body);
      details.querySelector(".scroll").replaceChildren(table);
    }
  }

  const boxes = new Map();
  function found() {
    for (const root of document.querySelectorAll("[data-chart]")) if (!boxes.has(root)) boxes.set(root, new Box(root));
    for (const root of boxes.keys()) if (!root.isConnected) boxes.delete(root);
  }
  document.body.addEventListener("tick", () => {
    for (const box of boxes.values()) if (Date.now() - box.asked >= (REFRESH_MS[box.hours] ?? 5000)) box.load();
  });
  const repaint = () => { for (const box of boxes.values()) if (box.columns) box.draw(); };
  document.addEventListener("theme", repaint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  document.addEventListener("htmx:afterSettle", found);
  found();
})();
