// Before anything is drawn: the theme that was chosen, so that nothing flashes. After it: the scripts, in their order,
// so that the first view waits for none of them. htmx begins by itself only in a page that is loaded whole.
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
  window.addEventListener("load", () => {
    requestAnimationFrame(() => setTimeout(fetchThem));
    setTimeout(fetchThem, 200); // a page in a hidden tab is not drawn
  });
}
