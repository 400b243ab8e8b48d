// "/" find, "g s" and the like go, "j" "k" move, Enter opens, "a" goes to the decision (never decides), "?" help.
const PLACES = { s: "/", c: "/certificates", a: "/approvals", d: "/discovery", p: "/policy" };
const ROWS = ".attention > li, .list tbody tr, .inbox li";
let before = "";

const busy = (element) => element.closest("input, textarea, select, dialog, [contenteditable]");

function move(step) {
  const rows = [...document.querySelectorAll(ROWS)].filter((row) => row.querySelector("a"));
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
}

function acted(key) {
  switch (key) {
    case "/":
      [...document.querySelectorAll("input[type=search]")].find((field) => field.checkVisibility())?.focus();
      return true;
    case "j":
    case "k":
      move(key === "j" ? 1 : -1);
      return true;
    case "a": {
      const decision = document.querySelector("[data-decides]");
      if (decision?.href) location.href = decision.href;
      else decision?.focus();
      return Boolean(decision);
    }
    case "?":
      location.href = "/help#keys";
      return true;
    default:
      return false;
  }
}

// In the heat map the days are reached by arrow keys, so that Tab does not stop four hundred times.
function walkCalendar(event) {
  const table = event.target.closest?.(".cal, .scroll");
  const days = table ? [...table.querySelectorAll(".cal td a")] : [];
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  if (!days.length || !(event.key in steps)) return false;
  const at = days.indexOf(document.activeElement);
  days[Math.min(Math.max(at + steps[event.key], 0), days.length - 1)].focus();
  return true;
}

// What a narrow page keeps under "More" closes by Esc and by a touch elsewhere.
function closeMore() {
  const more = document.querySelector("details.more[open]");
  if (!more) return;
  const within = more.contains(document.activeElement);
  more.open = false;
  if (within) more.querySelector("summary").focus();
}

export function watchKeys() {
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("details.more")) closeMore();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") closeMore();
    if (walkCalendar(event)) return event.preventDefault();
    if (busy(event.target)) return;
    const went = before === "g" && PLACES[event.key];
    before = event.key;
    if (went) location.href = went;
    else if (acted(event.key)) event.preventDefault();
  });
}
