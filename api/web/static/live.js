// News by server-sent events.  A change is fetched and morphed in, with a flash; nothing moves under a pointer or a focus.
// When the stream is lost the page says how old it is, and decisions are off until it is back.
import { say } from "./dialogs.js";

const QUIET_MS = 1200;
const LOST_AFTER_MS = 45_000;
// Sentences about time ("in 7 h", "checked 02:13") and the health strip grow old without any news.
const REREAD_MS = 60_000;
const RETRY_MS = 5000;
const age = document.getElementById("age");
const ageSaid = document.getElementById("age-said");
const lost = document.getElementById("lost");

let source;
let heard = Date.now();
let read = Date.now();
let connected = false;
let pending = new Set();
let timer;
let reopening;
let fetching = false;

const seconds = () => Math.max(0, Math.round((Date.now() - heard) / 1000));
const unit = (count) => (count < 90 ? `${count} seconds` : count < 5400 ? `${Math.round(count / 60)} minutes` : `${Math.round(count / 3600)} hours`);
const spoken = (count) => (count < 2 ? "1 second" : unit(count));

const isAway = () => (!connected && Date.now() - heard > 4000) || Date.now() - heard > LOST_AFTER_MS;

function showAge() {
  const away = isAway();
  age.classList.toggle("lost", away);
  age.querySelector(".live-dot").classList.toggle("polled", !connected);
  const said = away ? `Connection lost, ${spoken(seconds())} old` : connected ? `Live, ${spoken(seconds())} old` : "Connecting";
  // No live region: a screen reader hears the banner when the stream is lost, not every second before.
  if (ageSaid.textContent !== said) ageSaid.textContent = said;
  document.getElementById("lost-age").textContent = spoken(seconds());
  if (lost.hidden === away) {
    lost.hidden = !away;
    switchDecisions(away);
  }
  if (!document.hidden && Date.now() - read > REREAD_MS) soon();
}

function switchDecisions(off) {
  for (const button of document.querySelectorAll("[data-decides]")) {
    if (button instanceof HTMLButtonElement) button.disabled = off;
    else button.toggleAttribute("aria-disabled", off);
  }
}

// While somebody points at a list or a decision, types, or has a dialog open, the page stays as it is.
// A refusal stays until it was read, and a code, which is shown once, until the reader goes.
function held() {
  if (document.querySelector("dialog[open], #the-code, main [role=alert], [data-frozen], button[aria-busy=true]")) return true;
  const fields = document.querySelectorAll("main textarea, main input:not([type=hidden])");
  if ([...fields].some((field) => field.value !== field.defaultValue)) return true;
  if (document.querySelector("[data-live=list]:hover, form.decide:hover")) return true;
  const focus = document.activeElement;
  return Boolean(focus && focus.closest("main form, [data-live=list]"));
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(renew, QUIET_MS);
}

async function renew() {
  if (fetching || document.hidden || isAway() || held()) return soon();
  fetching = true;
  const changed = pending;
  pending = new Set();
  status = 0;
  // The answer to a form stands at the form's address; the page itself has another.
  const here = document.querySelector("[data-address]")?.dataset.address ?? location.pathname + location.search;
  try {
    await htmx.ajax("GET", here, { target: "#main", select: "#main", selectOOB: "#nav", swap: "outerMorph" });
  } finally {
    fetching = false;
  }
  if (status === 200) {
    read = Date.now();
    switchDecisions(isAway());
    for (const id of changed) flash(document.getElementById(`row-${id}`));
  } else {
    for (const id of changed) pending.add(id);
    setTimeout(soon, RETRY_MS);
  }
}

// htmx itself does not say how a request ended: 0 while nobody answered.
let status = 0;
document.addEventListener("htmx:after:request", (event) => {
  status = event.detail?.ctx?.response?.status ?? 0;
});

function flash(row) {
  if (!row) return;
  row.classList.add("arrived");
  setTimeout(() => row.classList.remove("arrived"), 1300);
}

function concerns(change) {
  const only = document.querySelector("[data-subject]")?.dataset.subject;
  if (change.kind === "discovery") return Boolean(document.querySelector("[data-live=discovery]")) || !only;
  return !only || only.split(" ").includes(change.id);
}

function news(event) {
  heard = Date.now();
  const change = JSON.parse(event.data);
  if (!concerns(change)) return;
  pending.add(change.id);
  soon();
}

function open() {
  clearTimeout(reopening);
  source?.close();
  if (document.hidden) return;
  source = new EventSource("/v1/events");
  source.addEventListener("open", () => {
    connected = true;
    heard = Date.now();
    // What changed between the reading of the page and this moment was told to nobody.
    soon();
  });
  source.addEventListener("certificate", news);
  source.addEventListener("discovery", news);
  source.addEventListener("alive", () => (heard = Date.now()));
  source.addEventListener("resync", () => {
    heard = Date.now();
    soon();
  });
  source.addEventListener("ended", logIn);
  source.addEventListener("error", () => {
    connected = false;
    // The browser gives up for good after an answer that is no stream (a proxy's 502, a session that has ended).
    if (source.readyState === EventSource.CLOSED) reopening = setTimeout(again, RETRY_MS);
  });
}

async function again() {
  try {
    const known = await fetch("/v1/me");
    if (known.status === 401) return logIn();
  } catch {
    // Nobody answers: the stream will be tried again.
  }
  open();
}

function logIn() {
  say("Your session has ended. Log in again.");
  location.href = `/login?back=${encodeURIComponent(location.pathname + location.search)}`;
}

export function listen() {
  if (!age) return;
  open();
  setInterval(showAge, 1000);
  document.getElementById("reconnect")?.addEventListener("click", open);
  // A browser opens few connections to one host: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      connected = false;
    } else open();
  });
}
