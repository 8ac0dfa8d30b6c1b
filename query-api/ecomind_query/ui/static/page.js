// Refresh, theme, tooltips and copy. The page is complete without any of it.
"use strict";

const REFRESH_MS = 10_000;
const FOCUSABLE = "a, summary, button, [tabindex]";
const root = document.documentElement;

// Theme -------------------------------------------------------------------------------------------

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.querySelector("button.theme");

function theme() {
  return root.dataset.theme ?? (systemIsDark.matches ? "dark" : "light");
}

function nameTheme() {
  const isDark = theme() === "dark";
  themeButton.querySelector(".theme-name").textContent = isDark ? "Light theme" : "Dark theme";
}

themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("ecomind-theme", root.dataset.theme);
  } catch {
    // Storage is blocked: the choice holds for this page only.
  }
  nameTheme();
});
systemIsDark.addEventListener("change", nameTheme);
nameTheme();

// Refresh: the figures are rendered on the server and swapped whole -------------------------------

const main = document.querySelector("main[data-refresh]");
const status = document.querySelector(".status");

function say(state, text, clock) {
  status.dataset.state = state;
  status.querySelector(".status-text").textContent = text;
  if (clock) status.querySelector("time").textContent = clock;
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector(".overview");
  if (!fresh) throw new Error("The answer is not an overview.");
  const old = main.querySelector(".overview");
  const focused = old.contains(document.activeElement) ? handle(document.activeElement) : null;
  for (const open of old.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
  markChanges(old, fresh);
  enhance(fresh);
  hideTip();
  old.replaceWith(fresh);
  if (focused) [...fresh.querySelectorAll(FOCUSABLE)].find((e) => handle(e) === focused)?.focus();
  say("live", fresh.dataset.status, fresh.dataset.clock);
}

// What names a link or a button across two renderings of the page.
function handle(element) {
  return `${element.tagName} ${element.getAttribute("href") ?? element.closest("[id]")?.id}`;
}

function markChanges(old, fresh) {
  const before = old.querySelectorAll(".hero .number");
  fresh.querySelectorAll(".hero .number").forEach((now, index) => {
    if (before[index]?.textContent !== now.textContent) now.classList.add("changed");
  });
}

async function refresh() {
  if (document.hidden || !getSelection().isCollapsed) return; // a swap would lose the selection
  try {
    const answer = await fetch(main.dataset.refresh, { signal: AbortSignal.timeout(REFRESH_MS) });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    swap(await answer.text());
  } catch {
    say("lost", "No answer, retrying");
  }
}

if (main) {
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);
}

// Tooltips: without script a column's <title> does the same, less well ----------------------------

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

function enhance(part) {
  for (const title of part.querySelectorAll(".hit > title")) {
    title.parentElement.dataset.tip = title.textContent;
    title.textContent = ""; // an empty title keeps the browser's own tooltip away
  }
  for (const button of part.querySelectorAll(".copy")) button.hidden = !navigator.clipboard;
}

function showTip(hit) {
  tip.replaceChildren(
    ...hit.dataset.tip.split("\n").map((line) => {
      const row = document.createElement("p");
      for (const text of line.split("\t")) {
        const cell = document.createElement("span");
        cell.textContent = text;
        row.append(cell);
      }
      return row;
    }),
  );
  tip.hidden = false;
  const box = hit.getBoundingClientRect();
  const left = box.left + box.width / 2 - tip.offsetWidth / 2;
  const room = root.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(left, room))}px`;
  const above = box.top - tip.offsetHeight - 8;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

function hideTip() {
  tip.hidden = true;
}

document.addEventListener("pointerover", (event) => {
  const hit = event.target.closest?.(".hit[data-tip]");
  if (hit) showTip(hit);
  else hideTip();
});
document.addEventListener("scroll", hideTip, { passive: true });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});

// Copy --------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = "Copied";
});

enhance(document);
