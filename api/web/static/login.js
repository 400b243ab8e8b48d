// The code stands behind # and is sent to nobody by the browser itself: it goes into the form, and out of the address.
const code = decodeURIComponent(location.hash.slice(1));
if (/^[A-Za-z0-9_-]{20,}$/.test(code)) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("code").value = code;
  document.getElementById("login").requestSubmit();
}
