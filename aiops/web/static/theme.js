// Before anything is drawn: the theme that was chosen, so that nothing flashes.
"use strict";
try {
  const theme = localStorage.getItem("aiops-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the system's theme it is */ }
