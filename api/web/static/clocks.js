// The clock of the rail: once a second, nothing moves.
const local = document.getElementById("clock-local");
const utc = document.getElementById("clock-utc");

function clock() {
  if (!local || !utc) return;
  const zone = document.getElementById("clock").dataset.zone;
  const now = new Date();
  local.textContent = now.toLocaleTimeString("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
  utc.textContent = now.toISOString().slice(11, 16);
}

export function tickClocks() {
  clock();
  setInterval(clock, 1000);
}
