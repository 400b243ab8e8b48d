// Before anything is painted: the reader's own theme and density, else what the system says.
try {
  for (const name of ["theme", "density"]) {
    const value = localStorage.getItem(`everleaf-${name}`);
    if (value) document.documentElement.dataset[name] = value;
  }
} catch {
  // Storage is off: the system's theme it is.
}
