"use strict";
// The page: asks the API every second or two and draws what it answers. No library, no build step.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let refreshS = 1;
let open = "";

async function ask(path) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(`/api/v1/${path}`, { headers });
  if (answer.status === 401) {
    const given = window.prompt("This daemon asks for its token");
    if (given) { sessionStorage.setItem("token", given); return ask(path); }
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

const clock = (at) => new Date(at * 1000).toISOString().slice(11, 19);
const short = (v) => v == null ? "-" : Math.abs(v) >= 1000 ? `${(v / 1000).toPrecision(3)}k` : `${Number(v.toPrecision(3))}`;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function showStatus(status) {
  refreshS = status.refresh_s || 2;
  $("mode").textContent = `mode ${status.mode}`;
  const wrong = [...status.unhealthy, ...status.unready, ...status.problems];
  $("health").textContent = wrong.length ? wrong[0] : "well";
  $("health").className = `chip ${wrong.length ? "ill" : "well"}`;
  $("clock").textContent = status.last_tick_at ? `${new Date(status.last_tick_at * 1000).toISOString().slice(0, 10)} ${clock(status.last_tick_at)} UTC${status.virtual ? " (virtual)" : ""}` : "";
  $("world").textContent = status.world[0] || "";
  $("sentence").textContent = status.held || status.sentence || "waiting for the first tick";
  const select = $("target");
  const wanted = status.targets.map((one) => one.policy).join();
  if (select.dataset.shown !== wanted) {
    const chosen = select.value;
    select.replaceChildren(...status.targets.map((one) => element("option", { value: one.policy }, one.target)));
    if (status.targets.some((one) => one.policy === chosen)) select.value = chosen;
    select.dataset.shown = wanted;
  }
  showCards(status);
  showPauses(status.pauses);
}

function card(value, label, kind = "") {
  return element("div", { class: `card ${kind}` }, element("b", {}, value), element("span", {}, label));
}

function showCards(status) {
  const one = status.targets.find((t) => t.policy === $("target").value) || status.targets[0];
  const cards = [];
  if (one) {
    const demand = Object.values(one.signals)[0];
    cards.push(card(demand && demand.value != null ? `${short(demand.value)} ${one.unit}` : demand ? demand.state : "-", "demand now", demand && demand.value == null ? "bad" : ""));
    if (one.slo) {
      const value = (one.signals[one.slo.signal] || {}).value;
      cards.push(card(value == null ? "-" : short(value), `${one.slo.signal}, at most ${one.slo.at_most}`, value != null && value > one.slo.at_most ? "bad" : "good"));
    }
    cards.push(card(`${one.ready ?? "-"} of ${one.current ?? "-"}`, `replicas ready, ${one.wanted ?? "-"} wanted`));
  }
  cards.push(card(String(status.findings), "open findings", status.findings ? "bad" : "good"));
  const cost = status.cost;
  if (cost && cost.saved_ratio != null) {
    cards.push(card(`$${cost.actual_usd.toFixed(2)}`, "cost so far"));
    cards.push(card(`$${cost.static_usd.toFixed(2)}`, "a fleet for the peak"));
    cards.push(card(`${(100 * cost.saved_ratio).toFixed(0)} %`, "saved", cost.saved_ratio > 0 ? "good" : "bad"));
  }
  $("cards").replaceChildren(...cards);
}

function showPauses(pauses) {
  const rows = pauses.map((one) => element("li", {}, element("div", { class: "row" },
    element("span", {}, clock(one.since)), element("span", { class: "wait" }, one.direction), `${one.scope}: ${one.reason} (${one.by})`)));
  $("pauses").replaceChildren(...(rows.length ? rows : [element("li", { class: "quiet" }, "none")]));
}

function showDecisions(rows) {
  $("decisions").replaceChildren(...rows.map((row) => {
    const button = element("button", { type: "button", title: `${row.ticks} ticks` },
      element("span", { class: "quiet" }, clock(row.at)), element("span", { class: row.verdict }, row.verdict === "wait" ? "hold" : row.verdict),
      `${row.target} ${row.story}`);
    button.addEventListener("click", () => tell(row.id));
    return element("li", {}, button);
  }));
}

function showFindings(answer, now) {
  const rows = answer.findings.map((one) => {
    const isOpen = one.until >= now - 1;
    return element("li", {}, element("div", { class: "row" }, element("span", { class: "quiet" }, clock(one.since)),
      element("span", { class: isOpen ? "open" : "closed" }, isOpen ? one.kind : "closed"), one.reason));
  });
  const together = answer.incidents.filter((one) => one.state === "open" && one.series > 1).map((one) =>
    element("li", {}, element("div", { class: "row" }, element("span", { class: "quiet" }, clock(one.since)),
      element("span", { class: "open" }, "incident"),
      `${one.series} series, suspected: ${one.suspects.slice(0, 3).map((suspect) => suspect.name).join(", ") || "nothing yet"}`)));
  rows.unshift(...together);
  $("findings").replaceChildren(...(rows.length ? rows : [element("li", { class: "quiet" }, "nothing abnormal")]));
}

async function tell(id) {
  open = id;
  const answer = await ask(`decisions/${id}`);
  $("story-title").textContent = `Decision ${id}`;
  $("story-text").textContent = answer.text;
  $("story-replay").textContent = "";
  if (!$("story").open) $("story").showModal();
}

function path(points) {
  let text = "", pen = false;
  for (const [x, y] of points) {
    if (y == null) { pen = false; continue; }
    text += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  }
  return text;
}

function draw(series, decisions) {
  const box = $("chart"), width = box.clientWidth || 900, height = 300, left = 46, bottom = 22, top = 8, right = 10;
  const at = series.at || [];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "demand, forecast and capacity over time" });
  if (at.length > 1) {
    const all = [...series.demand, ...series.ahead_p95, ...series.capacity].filter((v) => v != null);
    const most = Math.max(1, ...all) * 1.08, t0 = at[0], t1 = at[at.length - 1];
    const x = (t) => left + (t - t0) / (t1 - t0) * (width - left - right);
    const y = (v) => v == null ? null : top + (1 - v / most) * (height - top - bottom);
    for (let i = 0; i <= 4; i++) {
      const v = most * i / 4;
      svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }), shape("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, short(v)));
      const t = t0 + (t1 - t0) * i / 4;
      svg.append(shape("text", { x: x(t), y: height - 6, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle" }, clock(t)));
    }
    for (const one of decisions) {
      if (one.policy !== $("target").value || one.until < t0) continue;
      const begin = Math.max(one.at, t0);
      if (one.verdict === "wait" && one.reason.endsWith("signal")) svg.append(shape("rect", { class: "band held", x: x(begin), y: top, width: Math.max(2, x(one.until) - x(begin)), height: height - top - bottom }));
    }
    const steps = [];
    at.forEach((t, i) => { if (i) steps.push([x(t), y(series.capacity[i - 1])]); steps.push([x(t), y(series.capacity[i])]); });
    const filled = steps.filter(([, v]) => v != null);
    if (filled.length) svg.append(shape("path", { class: "area", d: `${path(filled)}L${filled[filled.length - 1][0]} ${y(0)}L${filled[0][0]} ${y(0)}Z` }));
    svg.append(shape("path", { class: "line capacity", d: path(steps) }));
    svg.append(shape("path", { class: "line ahead", d: path(at.map((t, i) => [x(t), y(series.ahead_p95[i])])) }));
    svg.append(shape("path", { class: "line demand", d: path(at.map((t, i) => [x(t), y(series.demand[i])])) }));
    for (const one of decisions) {
      if (one.policy !== $("target").value || one.verdict !== "allow" || one.at < t0) continue;
      const i = at.findIndex((t) => t >= one.at), v = i < 0 ? null : series.capacity[Math.min(i + 1, at.length - 1)];
      if (v == null) continue;
      const dot = shape("circle", { class: "mark acted", cx: x(one.at), cy: y(v), r: 4 });
      dot.append(shape("title", {}, one.story));
      svg.append(dot);
    }
  } else {
    svg.append(shape("text", { x: left, y: 40 }, "waiting for the first ticks"));
  }
  box.replaceChildren(svg);
}

async function refresh() {
  try {
    const status = await ask("status");
    showStatus(status);
    const policy = $("target").value;
    const [decisions, findings, series] = await Promise.all([
      ask("decisions?limit=100"), ask("findings?hours=6"),
      policy ? ask(`series?policy=${encodeURIComponent(policy)}&hours=${$("hours").value}`) : {},
    ]);
    showDecisions(decisions);
    showFindings(findings, status.last_tick_at || 0);
    draw(series, decisions);
  } catch (error) {
    $("health").textContent = `no answer: ${error.message}`;
    $("health").className = "chip ill";
  }
  window.setTimeout(refresh, refreshS * 1000);
}

$("close").addEventListener("click", () => $("story").close());
$("replay").addEventListener("click", async () => {
  const answer = await ask(`decisions/${open}/replay`);
  $("story-replay").textContent = `${answer.agreement}${answer.differences.length ? `: ${answer.differences[0]}` : ""}`;
});
refresh();
