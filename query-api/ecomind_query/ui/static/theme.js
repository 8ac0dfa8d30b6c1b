// Runs before the first paint: a remembered choice of theme wins over the system's.
"use strict";
try {
  const theme = localStorage.getItem("ecomind-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme stays.
}
