// Keeps a page fresh: every turn of the loop htmx asks for it anew, and only what changed is changed.
"use strict";

const { tell: speak, toast: say, meta: known } = window.aiops;
const pollS = Math.max(1, Number(known("refresh")) || 5);
const GENTLE_MS = 1000, QUIET_MS = 15_000;
let lastTick = 0, streaming = false, lost = null;

// what is typed into, opened or drawn is not taken away by what is fresh
Object.assign(Idiomorph.defaults, { ignoreActiveValue: true });
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) => !(old.dataset?.keep !== undefined && fresh.dataset?.keep !== undefined && old.dataset.policy === fresh.dataset.policy);
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.nodeName === "DETAILS");

function tick() {
  const now = Date.now();
  if (document.hidden || now - lastTick < GENTLE_MS || document.querySelector("dialog[open]")) return;
  lastTick = now;
  document.body.dispatchEvent(new CustomEvent("tick"));
}

function listen() {
  if (!("EventSource" in window)) return;
  const source = new EventSource("/api/v1/events");
  for (const kind of ["tick", "pause", "plan", "incident", "reset"]) source.addEventListener(kind, tick);
  source.addEventListener("open", () => { streaming = true; });
  source.addEventListener("error", () => { streaming = false; if (source.readyState === EventSource.CLOSED) window.setTimeout(listen, 30_000); });
}

function offline(text) {
  const box = document.getElementById("offline");
  if (lost === null) lost = new Date();
  box.textContent = `${text} What is shown is of ${lost.toISOString().slice(11, 19)} UTC. Trying again.`;
  box.hidden = false;
}

function online() {
  lost = null;
  document.getElementById("offline").hidden = true;
}

document.addEventListener("htmx:sendError", () => offline("The daemon does not answer."));
document.addEventListener("htmx:timeout", () => offline("The daemon does not answer in time."));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) window.location.reload();
  else offline(`The daemon answers ${event.detail.xhr.status}.`);
});
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) online(); });
document.addEventListener("htmx:afterSettle", () => localTimes());

// -- times in the reader's own zone, as a tooltip; what stands on the page is UTC for everybody
function localTimes() {
  for (const one of document.querySelectorAll("time[datetime]")) {
    const at = new Date(one.getAttribute("datetime"));
    if (!Number.isNaN(at.getTime())) one.title = `${one.getAttribute("datetime")} · here ${at.toLocaleString(undefined, { timeZoneName: "short" })}`;
  }
}

// -- theme, menu, replay, leaving
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("aiops-theme", root.dataset.theme); } catch { /* storage is off */ }
  document.dispatchEvent(new CustomEvent("theme"));
});
document.getElementById("menu").addEventListener("click", (event) => {
  const open = document.body.classList.toggle("menu-open");
  event.currentTarget.setAttribute("aria-expanded", String(open));
});
document.getElementById("replay")?.addEventListener("click", async (event) => {
  const box = document.getElementById("replayed");
  box.textContent = "Deciding again…";
  try {
    const answer = await speak("GET", event.target.dataset.path);
    const by = answer.made_by ? ` Stored by ${answer.made_by.code}.` : "";
    box.textContent = `${answer.agreement}.${answer.differences.length ? ` ${answer.differences.join("; ")}.` : ""}${by}`;
  } catch (error) {
    box.textContent = error.message;
  }
});
document.getElementById("verify")?.addEventListener("click", async (event) => {
  const box = document.getElementById("verified");
  box.hidden = false;
  box.textContent = "Reading the whole chain…";
  try {
    const answer = await speak("GET", event.target.dataset.path);
    box.textContent = answer.said;
    box.className = answer.whole ? "banner good" : "banner bad";
  } catch (error) {
    box.textContent = error.message;
    box.className = "banner bad";
  }
});
document.getElementById("logout")?.addEventListener("click", async () => {
  try {
    await fetch("/logout", { method: "POST", headers: { "X-CSRF-Token": known("csrf") } });
  } catch { /* it is gone anyway */ }
  window.location.assign("/login");
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
window.setInterval(() => { if (!streaming || Date.now() - lastTick > QUIET_MS) tick(); }, pollS * 1000);
localTimes();
listen();
document.documentElement.dataset.ready = "";
