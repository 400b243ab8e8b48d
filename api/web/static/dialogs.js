// <button data-opens="id"> opens <dialog id>; <button data-closes> closes it; Esc does what it always does.
// <button data-copies="id"> copies a text; a form that was sent cannot be sent again while it waits.
export function watchDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      document.getElementById(opener.dataset.opens)?.showModal();
      return;
    }
    if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
    const copier = event.target.closest("[data-copies]");
    if (copier) copy(copier);
  });
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || event.target.method === "get") return;
    // After the browser has read the form: a disabled button would not be part of it.
    setTimeout(() => button.setAttribute("aria-busy", "true"));
    for (const other of event.target.querySelectorAll("button[type=submit]")) setTimeout(() => (other.disabled = true));
  });
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copies).textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("This browser does not let pages copy; select the text instead.");
  }
}

export function say(text) {
  const toasts = document.getElementById("toasts");
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = text;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

// The reader's own theme and density, kept in this browser alone.
export function watchSettings() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sets]");
    if (!button) return;
    const { sets, value } = button.dataset;
    if (value) document.documentElement.dataset[sets] = value;
    else delete document.documentElement.dataset[sets];
    try {
      if (value) localStorage.setItem(`everleaf-${sets}`, value);
      else localStorage.removeItem(`everleaf-${sets}`);
    } catch {
      say("This browser keeps nothing: the choice holds for this page alone.");
    }
  });
}
