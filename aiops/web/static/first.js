// Before anything is drawn: the theme that was chosen, so that nothing flashes. After the first paint: the scripts, in
// their order, so that the first view waits neither for them nor for the processor that they need. htmx begins by
// itself only in a page that is loaded whole.
"use strict";
try {
  const theme = localStorage.getItem("aiops-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the system's theme it is */ }
{
  const scripts = (document.currentScript.dataset.then ?? "").split(" ").filter(Boolean);
  const fetchThem = () => {
    for (const src of scripts.splice(0)) document.head.append(Object.assign(document.createElement("script"), { src, async: false }));
  };
  window.addEventListener("load", () => setTimeout(fetchThem, 250)); // a page in a hidden tab is not painted
  try {
    new PerformanceObserver((seen, observer) => {
      observer.disconnect();
      fetchThem();
    }).observe({ type: "paint", buffered: true });
  } catch { /* a browser that tells of no paint: soon after it is loaded */ }
}
