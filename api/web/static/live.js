// News by server-sent events.  A change is fetched and morphed in, with a flash; nothing moves under a pointer or a focus.
// When the stream is lost the page says how old it is, and decisions are off until it is back.
import { say } from "./dialogs.js";

const QUIET_MS = 1200;
const LOST_AFTER_MS = 45_000;
const age = document.getElementById("age");
const ageSaid = document.getElementById("age-said");
const lost = document.getElementById("lost");

let source;
let heard = Date.now();
let connected = false;
let pending = new Set();
let timer;
let fetching = false;

const seconds = () => Math.max(0, Math.round((Date.now() - heard) / 1000));
const spoken = (count) => (count < 2 ? "1 second" : count < 90 ? `${count} seconds` : count < 5400 ? `${Math.round(count / 60)} minutes` : `${Math.round(count / 3600)} hours`);

function showAge() {
  if (!age) return;
  const gone = !connected && Date.now() - heard > 4000;
  const cold = Date.now() - heard > LOST_AFTER_MS;
  age.classList.toggle("lost", gone || cold);
  age.querySelector(".live-dot").classList.toggle("polled", !connected);
  const said = connected && !cold ? `Live, ${spoken(seconds())} old` : gone || cold ? `Connection lost, ${spoken(seconds())} old` : "Connecting";
  // A screen reader hears the change of state, not every second of it.
  if (ageSaid.textContent !== said) ageSaid.textContent = said;
  const away = gone || cold;
  if (lost.hidden === away) {
    lost.hidden = !away;
    for (const button of document.querySelectorAll("[data-decides]")) {
      if (button instanceof HTMLButtonElement) button.disabled = away;
      else button.toggleAttribute("aria-disabled", away);
    }
  }
  document.getElementById("lost-age").textContent = spoken(seconds());
}

// While somebody points at a list, types, or has a dialog open, the page stays as it is.
function held() {
  // A code is shown once: it stays until the reader goes.
  if (document.querySelector("dialog[open], #the-code")) return true;
  const focus = document.activeElement;
  if (focus && focus.closest("form.decide, form.filter, .dialog, textarea, .input")) return true;
  return Boolean(document.querySelector("[data-live=list]:hover") || focus?.closest("[data-live=list]"));
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(renew, QUIET_MS);
}

async function renew() {
  if (fetching || document.hidden || held()) return soon();
  fetching = true;
  const changed = pending;
  pending = new Set();
  try {
    const swap = { target: "#main", select: "#main", selectOOB: "#nav", swap: "outerMorph" };
    // The answer to a form stands at the form's address; the page itself has another.
    const here = document.querySelector("[data-address]")?.dataset.address ?? location.pathname + location.search;
    await htmx.ajax("GET", here, swap);
    for (const id of changed) flash(document.getElementById(`row-${id}`));
  } catch {
    for (const id of changed) pending.add(id);
    soon();
  } finally {
    fetching = false;
  }
}

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
  source = new EventSource("/v1/events");
  source.addEventListener("open", () => {
    if (!connected && Date.now() - heard > 5000) soon();
    connected = true;
    heard = Date.now();
  });
  source.addEventListener("certificate", news);
  source.addEventListener("discovery", news);
  source.addEventListener("alive", () => (heard = Date.now()));
  source.addEventListener("resync", () => {
    heard = Date.now();
    soon();
  });
  source.addEventListener("ended", () => {
    say("Your session has ended. Log in again.");
    location.href = "/login";
  });
  source.addEventListener("error", () => {
    connected = false;
    // The browser gives up for good after an answer that is no stream (a proxy's 502): begin anew.
    if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
  });
}

export function listen() {
  if (!age) return;
  open();
  setInterval(showAge, 1000);
  document.getElementById("reconnect")?.addEventListener("click", () => {
    source.close();
    open();
  });
  // A browser opens few connections to one host: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
      connected = false;
      return;
    }
    open();
    soon();
  });
}
