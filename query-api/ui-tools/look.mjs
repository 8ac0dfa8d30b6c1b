// Looks at the page with Debian's Chromium, as a person on a phone, a tablet, a desk and a wall would.
//
//   node look.mjs --base http://127.0.0.1:8080 --out build/screenshots [--hero docs/images]
//                 [--widths 360,768,1440,2560] [--browser /usr/bin/chromium]
//
// Takes a picture of every page at every width in both themes, and fails when a page scrolls sideways,
// when axe-core finds anything serious or critical (its colour contrast rule, 4.5 to 1, is one of those),
// or when the browser reports an error: a refused inline style or script is one. With --hero it also
// writes the two pictures that the README shows.

import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const THEMES = ["light", "dark"];
const HERO = { width: 1440, height: 1412, maxBytes: 250_000 };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const { values: options } = parseArgs({
  options: {
    base: { type: "string" },
    out: { type: "string", default: "build/screenshots" },
    hero: { type: "string" },
    widths: { type: "string", default: "360,768,1440,2560" },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});
if (!options.base) {
  console.error("Say which Ecomind to look at: --base http://127.0.0.1:8080");
  process.exit(2);
}

const base = options.base.replace(/\/$/, "");
const widths = options.widths.split(",").map(Number);
mkdirSync(options.out, { recursive: true });
const browser = await chromium.launch({ executablePath: options.browser, headless: true });
const failures = [];
try {
  const pages = [["overview", "/"], ["week", "/?days=7"], ["calls", "/calls"], ["method", "/methodology"]];
  const call = await firstCall();
  if (call) pages.push(["call", call]);
  pages.push(["missing", "/calls/0"]);
  console.log("page      width  theme  sideways  axe serious  contrast  errors");
  for (const [name, path] of pages)
    for (const theme of THEMES)
      for (const width of widths) await look(name, path, width, theme);
  if (options.hero) for (const theme of THEMES) await hero(theme);
} finally {
  await browser.close();
}
for (const failure of failures) console.error(failure);
process.exit(failures.length ? 1 : 0);

async function open(path, width, height, theme) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    const isOwn404 = message.text().includes("404");
    if (message.type() === "error" && !isOwn404) errors.push(message.text());
  });
  await page.goto(base + path, { waitUntil: "load" });
  await page.evaluate(() => document.fonts.ready);
  return { context, page, errors };
}

async function firstCall() {
  const { context, page } = await open("/calls", 1440, 900, "light");
  const links = await page.locator('tbody a[href^="/calls/"]').all();
  const href = links.length ? await links[0].getAttribute("href") : null;
  await context.close();
  return href;
}

async function look(name, path, width, theme) {
  const { context, page, errors } = await open(path, width, width < 500 ? 800 : 900, theme);
  const overflow = await page.evaluate(() => {
    const root = document.documentElement;
    return root.scrollWidth - root.clientWidth;
  });
  await page.screenshot({ path: join(options.out, `${name}-${width}-${theme}.png`), fullPage: true });
  await page.evaluate(() => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  await page.evaluate(AXE); // through the debugger: the page's own policy stays in force
  const { violations } = await page.evaluate(() => axe.run());
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const contrast = bad.filter(({ id }) => id === "color-contrast").flatMap(({ nodes }) => nodes);
  const where = `${name} at ${width} px, ${theme}`;
  if (overflow > 0) failures.push(`${where}: scrolls ${overflow} px sideways`);
  for (const { id, help, nodes } of bad)
    failures.push(`${where}: ${id}: ${help}: ${nodes[0].target} ${nodes[0].failureSummary}`);
  for (const error of errors) failures.push(`${where}: ${error}`);
  const columns = [overflow, bad.length, contrast.length, errors.length];
  console.log(
    [name.padEnd(8), String(width).padStart(6), theme.padStart(6)].join(" ") +
      columns.map((value, index) => String(value).padStart([10, 13, 10, 8][index])).join(""),
  );
  await context.close();
}

async function hero(theme) {
  const { context, page } = await open("/", HERO.width, HERO.height, theme);
  const path = join(options.hero, `overview-${theme}.png`);
  await page.screenshot({ path });
  const bytes = statSync(path).size;
  console.log(`${path}: ${bytes} bytes`);
  if (bytes > HERO.maxBytes) failures.push(`${path}: ${bytes} bytes, more than ${HERO.maxBytes}`);
  await context.close();
}
