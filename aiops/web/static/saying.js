// Whatever changes something: a dialog says what will happen, then the API is told. Nothing is sent without it.
"use strict";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

async function tell(method, path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": meta("csrf") || "page" };
  const options = { method, headers, credentials: "same-origin" };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The daemon does not answer. What can be done without it: the pause file, or scaling it to zero.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const detail = typeof answer.detail === "string" ? answer.detail : answer.title || `answered ${response.status}`;
  throw new Error(response.status === 401 ? `${detail}. Sign in again.` : detail);
}

function toast(text, kind = "good") {
  const box = document.createElement("p");
  box.className = `toast ${kind}`;
  box.textContent = text;
  document.getElementById("toasts").append(box);
  window.setTimeout(() => box.remove(), 8000);
}

function openDialog(dialog) {
  const refused = dialog.querySelector(".refused");
  if (refused) refused.hidden = true;
  dialog.showModal();
  const first = [...dialog.querySelectorAll('input:not([type="hidden"]), select')].find((one) => one.offsetParent !== null && !one.value);
  (first ?? dialog.querySelector("[data-close]")).focus();
}

function ask(button) {
  const wish = JSON.parse(button.dataset.say);
  const dialog = document.getElementById("say-dialog"), form = dialog.querySelector("form");
  form.reset();
  form.wish = wish;
  dialog.querySelector("h2").textContent = wish.title;
  dialog.querySelector("[data-text]").textContent = wish.text;
  const reason = dialog.querySelector("[data-reason]"), input = reason.querySelector("input");
  reason.hidden = wish.reason === "none";
  input.required = wish.reason === "required";
  input.placeholder = wish.reason === "required" ? "others will want to know why" : "if you like";
  const confirm = dialog.querySelector("[data-confirm]");
  confirm.textContent = wish.confirm;
  confirm.className = wish.danger ? "danger" : "primary";
  dialog.classList.toggle("dangerous", Boolean(wish.danger));
  openDialog(dialog);
}

function wishOf(form) {
  const said = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
  if (form.wish) {
    const { method, path, body, done, reason } = form.wish;
    if (method === "DELETE") return { method, path, done };
    return { method, path, done, body: reason === "none" ? body : { ...body, reason: said.reason ?? "" } };
  }
  const body = { ...said };
  for (const name of ["for_s", "hold_at"]) {
    if (body[name] === undefined || body[name] === "") delete body[name];
    else body[name] = Number(body[name]);
  }
  return { method: form.dataset.method, path: form.dataset.path, done: form.dataset.done, body };
}

async function send(form) {
  const dialog = form.closest("dialog"), refused = form.querySelector(".refused"), confirm = form.querySelector('[type="submit"]');
  const { method, path, body, done } = wishOf(form);
  confirm.disabled = true;
  form.setAttribute("aria-busy", "true");
  try {
    await tell(method, path, body);
    dialog.close();
    toast(done);
    document.body.dispatchEvent(new CustomEvent("tick"));
  } catch (error) {
    refused.textContent = error.message;
    refused.hidden = false;
  } finally {
    confirm.disabled = false;
    form.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.say) ask(button);
  else if (button.dataset.open) openDialog(document.getElementById(button.dataset.open));
  else if (button.hasAttribute("data-close")) button.closest("dialog").close();
});

async function start(form) {
  const refused = form.querySelector(".refused"), button = form.querySelector('[type="submit"]');
  const wish = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  for (const name of ["seed", "days"]) if (wish[name] !== undefined) wish[name] = Number(wish[name]);
  refused.hidden = true;
  button.disabled = true;
  try {
    const job = await tell("POST", form.dataset.path, wish);
    toast(`${job.name} is ${job.state}.`);
    document.body.dispatchEvent(new CustomEvent("tick"));
  } catch (error) {
    refused.textContent = error.message;
    refused.hidden = false;
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.classList.contains("starting")) {
    event.preventDefault();
    start(form);
  }
  if (!form.classList.contains("saying")) return;
  event.preventDefault();
  send(form);
});

window.aiops = { tell, toast, meta };
