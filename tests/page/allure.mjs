// Has Allure's own generator read a report's results, and looks at what it makes of them in headless Chromium.
//
//   node allure.mjs FOLDER
//
// FOLDER holds `allure-results`; the generated report stays beside it. CHROMIUM names the browser; else Debian's is taken.

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATUSES = ["failed", "broken", "passed", "skipped"];

const folder = resolve(process.argv[2]);
const results = join(folder, "allure-results");
const made = readdirSync(results)
  .filter((name) => name.endsWith("-result.json"))
  .map((name) => JSON.parse(readFileSync(join(results, name), "utf8")));

const problems = [];
let checks = 0;
const check = (fine, what) => {
  checks += 1;
  if (!fine) problems.push(what);
};
const same = (is, should, what) => check(JSON.stringify(is) === JSON.stringify(should), `${what}: ${JSON.stringify(is)}, expected ${JSON.stringify(should)}`);

execFileSync(join(HERE, "node_modules/.bin/allure"), ["awesome", results, "--single-file", "-o", join(folder, "allure")], { cwd: folder });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  page.on("pageerror", (error) => check(false, `script: ${error.message}`));
  await page.goto(pathToFileURL(join(folder, "allure/index.html")).href);
  await page.getByTestId("tree-leaf").first().waitFor();

  for (const status of STATUSES) {
    const number = made.filter((result) => result.status === status).length;
    const shown = await page.getByTestId(`metadata-item-${status}`).getByTestId("metadata-value").innerText();
    same(Number(shown), number, `number of ${status}`);
  }
  const label = (result, name) => result.labels.find((one) => one.name === name)?.value;
  const suites = [...new Set(made.map((result) => label(result, "suite")))];
  const sections = await page.getByTestId("tree-section-title").allInnerTexts();
  same(sections.filter((title) => title !== "chatproof").sort(), suites.sort(), "suites");

  const wrong = made.find((result) => result.status === "failed" && result.steps?.some((step) => step.attachments));
  await page.getByTestId("search-input").fill(wrong.name);
  await page.getByTestId("tree-leaf-title").getByText(wrong.name).click();
  await page.getByTestId("test-result-error-message").first().waitFor();
  check((await page.getByTestId("test-result-error-message").first().innerText()).startsWith("fail: expected"), "no message of what was expected");
  same(await page.getByTestId("test-result-meta-link").innerText(), wrong.links[0].name, "link");
  const attached = page.getByTestId("test-result-attachment-header").first();
  check((await attached.innerText()).includes("exchange "), "no exchange is attached");
  await attached.click();
  await page.getByText("HTTP/1.1").first().waitFor({ timeout: 5000 }).catch(() => check(false, "the attached exchange cannot be read"));
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
console.log(`${checks} checks of Allure's report, ${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
