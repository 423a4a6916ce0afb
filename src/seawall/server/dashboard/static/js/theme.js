// The theme before the first paint: what was chosen here, or what the system prefers.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("seawall-theme"); } catch (error) { kept = null; /* storage is off: the system decides */ }
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = kept === "light" || kept === "dark" ? kept : light ? "light" : "dark";
})();
