// What the page does by itself, in Debian's Chromium with a clock that the script turns.
//
//   node behave.mjs --base http://127.0.0.1:8080 [--browser /usr/bin/chromium]

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options } = parseArgs({
  options: {
    base: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});
const REFRESH_MS = 10_000;
const FRAGMENT = "**/fragments/overview*";

const steps = [
  refreshes,
  keepsWhatIsOpen,
  saysWhenTheServerIsGone,
  pausesWhenHidden,
  remembersTheTheme,
  showsTooltips,
];
const browser = await chromium.launch({ executablePath: options.browser, headless: true });
try {
  for (const step of steps) {
    const context = await browser.newContext({ colorScheme: "light" });
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(options.base + "/");
    await step(page, context);
    console.log(`ok ${step.name}`);
    await context.close();
  }
} finally {
  await browser.close();
}

function energy(page) {
  return page.locator(".hero .number").first();
}

// The server's own answer with another figure in it; returns how often it was asked for.
async function answerWith(page, figure) {
  const asked = { times: 0 };
  await page.route(FRAGMENT, async (route) => {
    asked.times += 1;
    const answer = await route.fetch();
    const before = /(class="number">)[^<]+/;
    await route.fulfill({ body: (await answer.text()).replace(before, `$1${figure}`) });
  });
  return asked;
}

async function nextRefresh(page) {
  const answered = page.waitForResponse(FRAGMENT);
  await page.clock.runFor(REFRESH_MS);
  await answered;
}

async function refreshes(page) {
  await answerWith(page, "12.3");
  assert.notEqual(await energy(page).textContent(), "12.3");
  await nextRefresh(page);
  await page.getByText("12.3", { exact: true }).waitFor();
  await page.locator(".changed").first().waitFor();
}

async function keepsWhatIsOpen(page) {
  await answerWith(page, "12.3");
  const summary = page.locator("#trend-table > summary");
  await summary.click();
  await nextRefresh(page);
  await page.getByText("12.3", { exact: true }).waitFor();
  assert.equal(await page.locator("#trend-table").getAttribute("open"), "");
  assert.equal(await summary.evaluate((element) => element === document.activeElement), true);
}

async function saysWhenTheServerIsGone(page) {
  await page.route(FRAGMENT, (route) => route.abort());
  await page.clock.runFor(REFRESH_MS);
  await page.locator('.status[data-state="lost"]').waitFor();
  const shown = await energy(page).textContent();
  assert.match(shown, /\d/); // the last figures stay
  await page.unroute(FRAGMENT);
  await nextRefresh(page);
  await page.locator('.status[data-state="live"]').waitFor();
}

async function pausesWhenHidden(page) {
  const asked = await answerWith(page, "12.3");
  await hide(page, true);
  await page.clock.runFor(3 * REFRESH_MS);
  assert.equal(asked.times, 0);
  await hide(page, false);
  await page.getByText("12.3", { exact: true }).waitFor(); // at once, without waiting for the clock
}

function hide(page, hidden) {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

async function remembersTheTheme(page) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "Dark theme" }).click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await ground(), dark);
  await page.getByRole("button", { name: "Light theme" }).click();
  assert.equal(await ground(), light);
}

async function showsTooltips(page) {
  const tip = page.locator(".tip");
  await page.locator("#trend .hit").last().hover();
  assert.match(await tip.textContent(), /until now/);
  await page.keyboard.press("Escape");
  assert.equal(await tip.isVisible(), false);
}
