// Opens every page of a folder in headless Chromium and fails on what a reader would suffer from.
//
//   node page.mjs FOLDER [--shots FOLDER]
//
// CHROMIUM names the browser; else Debian's is taken.

import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const BROWSER = process.env.CHROMIUM || "/usr/bin/chromium";
const WIDTHS = [1280, 390];
const SCHEMES = ["light", "dark"];
const MOST_BYTES = 2_000_000;

const [folder, flag, shots] = process.argv.slice(2);
if (!folder || (flag && flag !== "--shots")) {
  console.error("usage: node page.mjs FOLDER [--shots FOLDER]");
  process.exit(2);
}

const problems = [];
let checks = 0;
const check = (fine, where, what) => {
  checks += 1;
  if (!fine) problems.push(`${where}: ${what}`);
};

/** Opens a page and notes whatever it complains of, and whatever it asks for. */
async function opened(context, url, where) {
  const page = await context.newPage();
  page.on("console", (message) => check(!["error", "warning"].includes(message.type()), where, `console: ${message.text()}`));
  page.on("pageerror", (error) => check(false, where, `script: ${error.message}`));
  page.on("request", (request) => check(request.url().split("#")[0] === url, where, `asked for ${request.url()}`));
  await page.goto(url);
  return page;
}

async function accessible(page, where) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of found.violations) {
    const serious = ["serious", "critical"].includes(violation.impact);
    const places = violation.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`);
    check(!serious, where, `axe ${violation.id} (${violation.impact}): ${places.join(" | ")}`);
  }
}

async function fits(page, width, where) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(wide <= width, where, `${wide} px wide in a window of ${width}`);
}

/** Hovering, and the arrow keys, say values of the chart's own. */
async function charts(page, where, expected) {
  const all = await page.locator(".chart").all();
  check(all.length >= expected, where, `${all.length} charts, expected ${expected}`);
  for (const chart of all) {
    const name = `${where}, ${await chart.getAttribute("aria-label")}`;
    const values = JSON.parse(await chart.getAttribute("data-values")).map((value) => value[2]);
    const readout = chart.locator(".readout");
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.locator("svg").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
    const hovered = await readout.textContent();
    check(values.includes(hovered), name, `hover says ${JSON.stringify(hovered)}`);
    check(await chart.locator(".cursor").isVisible(), name, "no mark where the value is");
    await page.mouse.move(0, 0);
    await chart.focus();
    await page.keyboard.press("Home");
    check((await readout.textContent()) === values[0], name, "Home does not read the first value");
    if (values.length > 1) {
      await page.keyboard.press("ArrowRight");
      check((await readout.textContent()) === values[1], name, "the right arrow does not read the second value");
    }
    await page.keyboard.press("End");
    check((await readout.textContent()) === values.at(-1), name, "End does not read the last value");
    await page.keyboard.press("Tab");
    check((await readout.textContent()) === "", name, "the value stays when the chart is left");
  }
}

/** Filter, search, links to a clause, and the copy button. */
async function controls(page, url, where) {
  const rows = page.locator("details.clause");
  const total = await rows.count();
  const chip = page.locator('.chip[data-outcome="fail"]');
  await chip.click();
  check((await page.locator("details.clause:visible").count()) === Number(await chip.locator("b").textContent()), where, "the chip shows other clauses than it counts");
  check((await chip.getAttribute("aria-pressed")) === "true", where, "the chip does not say that it is pressed");
  await chip.click();
  await page.locator("#find").fill("str-02 done");
  check((await page.locator("details.clause:visible").getAttribute("id")) === "STR-02", where, "the search does not find STR-02");
  await page.locator("#find").fill("");
  check((await page.locator("details.clause:visible").count()) === total, where, "an empty search hides clauses");
  await page.locator("#loud").click();
  check((await page.locator('details.clause[data-outcome="pass"]:visible').count()) === 0, where, "green clauses stay");
  await page.goto(`${url}#EP-01`);
  check(await page.locator("#EP-01 .inside").isVisible(), where, "a link does not unfold its clause");
  await page.locator("#loud").click();
  await page.goto(`${url}#STR-02`);
  await page.locator("#STR-02 .copy").first().click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  check(copied === (await page.locator("#STR-02 .shell pre").first().textContent()), where, "the copy is not the curl line");
}

async function onPaper(page, where) {
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  check(await page.locator("#STR-02 .finding").first().isVisible(), where, "findings stay folded on paper");
  check(!(await page.locator(".tools").isVisible()), where, "controls are printed");
  await page.emulateMedia({ media: "screen" });
}

async function withoutScript(browser, url, where) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator("#STR-02 > summary").click();
  check(await page.locator("#STR-02 .finding").first().isVisible(), where, "nothing unfolds without script");
  await context.close();
}

/** A page with known faults must be found at fault, or the checks above say nothing. */
async function bites(browser, url) {
  const context = await browser.newContext({ viewport: { width: 390, height: 900 } });
  const page = await opened(context, url, "bites");
  await page.evaluate(() => {
    document.body.insertAdjacentHTML("beforeend", '<img src="http://127.0.0.1:9/x.png"><p>grey on grey</p>');
    const last = document.body.lastElementChild;
    last.style.color = "#888";
    last.style.background = "#999";
    last.style.width = "900px";
  });
  await page.waitForTimeout(300);
  await accessible(page, "bites");
  await fits(page, 390, "bites");
  await context.close();
  const found = problems.splice(0);
  for (const sign of ["image-alt", "color-contrast", "px wide", "console"]) {
    check(found.some((problem) => problem.includes(sign)), "the checks themselves", `a planted fault was not found: ${sign}`);
  }
}

const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const names = readdirSync(folder).filter((name) => name.endsWith(".html"));
  check(names.length > 0, folder, "no page in it");
  if (names.length) await bites(browser, pathToFileURL(resolve(folder, names[0])).href);
  for (const name of names) {
    const file = resolve(folder, name);
    const url = pathToFileURL(file).href;
    const text = readFileSync(file, "utf8");
    check(Buffer.byteLength(text) < MOST_BYTES, name, "2 MB or more");
    for (const scheme of SCHEMES) {
      for (const width of WIDTHS) {
        const where = `${name}, ${scheme}, ${width} px`;
        const context = await browser.newContext({
          viewport: { width, height: 900 },
          colorScheme: scheme,
          permissions: ["clipboard-read", "clipboard-write"],
        });
        const page = await opened(context, url, where);
        if (shots) {
          mkdirSync(shots, { recursive: true });
          await page.screenshot({ path: join(shots, `${name.replace(".html", "")}-${scheme}-${width}.png`), fullPage: true });
        }
        await fits(page, width, where);
        await accessible(page, where);
        await page.locator("#unfold").click();
        await fits(page, width, `${where}, unfolded`);
        await accessible(page, `${where}, unfolded`);
        if (scheme === SCHEMES[0]) {
          if (text.includes('class="chart"')) await charts(page, where, 5);
          await controls(page, url, where);
          await onPaper(page, where);
        }
        await context.close();
      }
    }
    await withoutScript(browser, url, `${name}, no script`);
  }
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
console.log(`${checks} checks, ${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
