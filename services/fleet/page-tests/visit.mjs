// Visits the page of `fleet up` as a newcomer does, and compares what is seen.
//   node visit.mjs <fleet binary> [--pictures <folder>]
// Everything is waited for, nothing is slept for. Exits 0 only if every check held.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [binary, , pictures] = process.argv.slice(2);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// For machines that have more to do.
const PATIENCE = 120_000;
const began = Date.now();

const say = (text) => console.log(`  ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);

/** Starts the fleet on any free port; its output is shown only when something fails. A fleet that a person runs stays
 * the one that other commands find: this one leaves its addresses in a folder of its own. */
async function start() {
  const own = await mkdtemp(join(tmpdir(), "visit-"));
  const env = { PATH: process.env.PATH, XDG_RUNTIME_DIR: own };
  const fleet = spawn(binary, ["up", "--plain", "--port", "0"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const address = new Promise((found, failed) => {
    const read = (text) => {
      output += text;
      const page = output.match(/The page: +(\S+)/);
      if (page) found(page[1]);
    };
    fleet.stdout.on("data", read);
    fleet.stderr.on("data", read);
    fleet.on("exit", (code) => failed(new Error(`the fleet ended with ${code}`)));
  });
  address.catch(() => {});
  const ended = new Promise((done) => fleet.on("exit", done));
  const stop = async () => {
    fleet.kill("SIGTERM");
    await ended;
    await rm(own, { recursive: true, force: true });
  };
  return { address: () => address, stop, output: () => output };
}

/** A browser's window, as patient as everything here. */
async function contextOf(browser, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  return context;
}

/** What a visitor does. */
class Visitor {
  constructor(page) {
    this.page = page;
  }

  press(name) {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  /** Waits until a part of the page reads so. */
  async sees(part, text) {
    const element = this.page.locator(part).filter({ hasText: text }).first();
    await element.waitFor({ timeout: PATIENCE }).catch(async () => {
      const shown = await this.page.locator(part.split(" ")[0]).first().innerText().catch(() => "nothing");
      throw new Error(`${part} never read ${text}; it reads:\n${shown}`);
    });
    return element;
  }

  /** Moves time until a part reads so. */
  async forwardUntil(part, text) {
    for (let times = 0; times < 12; times += 1) {
      await this.press("Forward 10 min");
      const seen = this.page.locator(part).filter({ hasText: text }).first();
      if (await seen.waitFor({ timeout: 2_500 }).then(() => true, () => false)) return;
    }
    await this.sees(part, text);
  }

  async scan(what) {
    for (const colorScheme of ["light", "dark"]) {
      await this.page.emulateMedia({ colorScheme });
      const { violations } = await this.page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
      const found = violations.map((one) => `${one.id}: ${one.help}\n    ${one.nodes.slice(0, 3).map((node) => node.html).join("\n    ")}`);
      assert.deepEqual(found, [], `${what}, ${colorScheme}:\n${found.join("\n")}`);
    }
    say(`${what}: no violations, light and dark`);
  }

  async picture(name, colorScheme, viewport = { width: 1760, height: 900 }) {
    if (!pictures) return;
    await mkdir(pictures, { recursive: true });
    await this.page.emulateMedia({ colorScheme });
    const before = this.page.viewportSize();
    await this.page.setViewportSize(viewport);
    await this.page.evaluate(() => (scrollTo(0, 0), document.querySelectorAll(".scroll").forEach((part) => part.scrollTo(0, 0))));
    await this.page.screenshot({ path: join(pictures, name) });
    await this.page.setViewportSize(before);
  }
}

async function anOutage(visitor) {
  const { page } = visitor;
  await visitor.sees("#device", "No edge is chosen");
  await visitor.sees("#tickets", "No tickets. Break an edge to see one.");
  const up = page.locator(".cell:has(.up)");
  const serial = (await up.nth(2).getAttribute("id")).replace("cell-", "");
  await page.getByLabel("Serial, name or customer").fill(serial);
  await visitor.sees("#found", "1 of 200 edges match");
  await page.keyboard.press("Enter");
  await visitor.sees("#device", serial);
  await visitor.sees("#moment", "All is well");
  await page.getByRole("link", { name: "Show all." }).click();
  await visitor.sees("#found", "Choose one");

  await visitor.press("Break the edge");
  await visitor.sees("#device .name", "down");
  await visitor.sees("#story .world", "The edge goes down");
  await visitor.sees("#story .sees", "Sees that the edge is down");
  await visitor.sees("#story .decides", "Waits 10 s before acting");
  say(`${serial}: broken, seen, in quarantine`);

  await visitor.forwardUntil("#story .acts", "Asks Bruin for a ticket: the edge is down");
  const created = await visitor.sees("#story .Bruin", /Ticket \d+ is created by the engine/);
  const ticket = (await created.innerText()).match(/Ticket (\d+)/)[1];
  await visitor.sees("#story .Bruin", "A note stands on ticket");
  await visitor.sees("#story .people", "Successfully created outage ticket");
  await page.locator("#tickets").getByRole("link", { name: ticket }).click();
  await visitor.sees(`#ticket-${ticket} article`, "#*MetTel's IPA*#");
  await visitor.sees(`#ticket-${ticket}`, "severity 2");
  say(`ticket ${ticket} with note, severity and Slack message`);

  await page.locator("#story .acts", { hasText: "Asks Bruin for a ticket" }).getByRole("link", { name: /Trace/ }).click();
  for (const step of ["asks bruin.ticket.creation.outage.request", "answers bruin.ticket.creation.outage.request", "POST /api/Ticket/repair"]) {
    await visitor.sees("#trace tr", step);
  }
  say("its trace leads through the bridge to Bruin");
  await page.locator("#outbox .messages a.fold").first().click();
  await page.frameLocator("#outbox iframe").locator("body").waitFor({ timeout: PATIENCE });
  return { serial, ticket };
}

/** For the picture only: more trouble than one edge. */
async function moreTrouble(visitor) {
  if (!pictures) return;
  await visitor.page.evaluate(async () => {
    const press = (path) => fetch(path, { method: "POST", headers: { "X-Script": "1" } });
    const cells = [...document.querySelectorAll(".cell:has(.up)")].map((cell) => cell.id.replace("cell-", ""));
    for (const [index, serial] of cells.entries()) {
      if (index % 31 === 5) await press(`/do/link/${serial}/GE1/break`);
      if (index % 67 === 20) await press(`/do/edge/${serial}/break`);
    }
  });
  await visitor.sees("#network-head", /[2-9]\s*degraded/);
}

async function healed(visitor, { ticket }) {
  const { page } = visitor;
  await page.getByRole("link", { name: "Close the trace." }).click();
  await visitor.press("Heal the edge");
  await visitor.sees("#story .world", "The edge comes up");
  await visitor.forwardUntil("#story .Bruin", `Ticket ${ticket} is resolved`);
  await visitor.sees(`#ticket-${ticket}`, "Resolved");
  await visitor.sees("#story .acts", `Resolves the line of ticket ${ticket}`);
  say("healed and resolved");
}

async function aFault(visitor) {
  const { page } = visitor;
  await visitor.press("Bruin: answer 500");
  await visitor.sees("#party-bruin", "1 fault");
  await page.goto(new URL("/", page.url()).href);
  await visitor.press("Break some edge");
  await visitor.sees("#device .name", "down");
  await visitor.forwardUntil("#story .acts", "refused with");
  await visitor.sees("#party-bruin .troubled", "failed");
  await visitor.sees("#topbar .bad", "in the last minute");
  await visitor.sees("#services", "bruin.");
  say("Bruin answers 500: the engine says what failed");
  await visitor.press("Bruin: make it well");
  await visitor.forwardUntil("#story .Bruin", /Ticket \d+ is created by the engine/);
  say("Bruin is well again: the ticket is created");
}

const SERVICES = ["bruin-bridge", "velocloud-bridge", "digi-bridge", "hawkeye-bridge", "t7-bridge", "email-tagger-kre-bridge",
  "repair-tickets-kre-bridge", "dri-bridge", "cts-bridge", "lit-bridge", "notifier", "customer-cache",
  "hawkeye-customer-cache", "service-outage-monitor"];

/** A service's row: label, state, rate, errors, median, 99th percentile, restarts. */
const rowOf = (page, service) => page.locator("#services tbody tr").filter({ has: page.locator("th", { hasText: new RegExp(`^${service}( |$)`) }) }).first();

async function everyService({ page }) {
  for (const service of SERVICES) {
    const cells = await rowOf(page, service).locator("th, td").allInnerTexts();
    assert.equal(cells[1], "ready", `${service}: ${cells}`);
    assert.match(cells[2], /^\d+(\.\d)?$/, `requests/s of ${service}: ${cells}`);
    assert.match(cells[3], /^\d+$/, `errors of ${service}: ${cells}`);
  }
  say(`all ${SERVICES.length} services have a row, ready, with rate and errors`);
}

async function toCapabilities(visitor) {
  await visitor.page.getByRole("link", { name: "Probes, models, dispatches" }).click();
  await visitor.page.locator("main.subjects").waitFor();
  await visitor.page.locator("html[data-live=yes]").waitFor();
}

async function aProbe(visitor) {
  const { page } = visitor;
  await visitor.sees("#answer-hawkeye", "Not asked yet.");
  const row = page.locator("#probes .rows > li:has(.state.up)").nth(1);
  const id = await row.getAttribute("id");
  const name = await row.locator("a.fold").innerText();
  const serial = await row.locator(".serial").innerText();
  await visitor.press(`Fail probe ${name}`);
  await visitor.sees(`#${id} .word.down`, "fails: it reaches nothing");
  await visitor.press("Ask which probes are down");
  const answer = await visitor.sees("#answer-hawkeye", `"serialNumber": "${serial}"`);
  assert.match(await answer.innerText(), /hawkeye-bridge: 200 OK, 1 entry/);
  await visitor.press(`Heal probe ${name}`);
  await visitor.sees(`#${id} .word.up`, "well");
  await visitor.press("Ask which probes are down");
  await visitor.sees("#answer-hawkeye", "200 OK, 0 entries");
  say(`probe ${name}: failed and healed, and hawkeye-bridge saw both`);

  await page.locator(`#${id} a.fold`).click();
  await visitor.sees(`#${id} .messages`, "Passed");
  await visitor.press("Fail: Voice bidirectional");
  await visitor.sees(`#${id} .word`, "its tests fail");
  await visitor.forwardUntil(`#${id} .messages`, "Failed");
  await visitor.press("Ask the bridge for its results");
  await visitor.sees("#answer-hawkeye", '"status": "Failed"');
  await visitor.press(`Heal probe ${name}`);
  await visitor.sees(`#${id} .word.up`, "well");
  await visitor.press("Ask the customer cache");
  await visitor.sees("#answer-hawkeye", /hawkeye-customer-cache: 200 OK, \d+ entries/);
  say("its voice test failed, as the bridge says too; the customer cache knows the probes");
}

async function predictions(visitor) {
  const { page } = visitor;
  await visitor.sees("#model-t7", "Nobody has asked T7 yet.");
  await visitor.press("Let T7 predict this");
  await visitor.sees("#model-t7", /set by you T7 predicts VC\d+: Repair Completed 87 %/);
  await visitor.press("Ask t7-bridge");
  await visitor.sees("#answer-t7", /"name": "Repair Completed",\s+"probability": 0\.87\d*\s/);
  assert.doesNotMatch(await page.locator("#answer-t7").innerText(), /Wireless/);
  await visitor.sees("#model-t7 .messages", /Prediction 4000001, VC\d+ OK/);
  await visitor.press("T7: back to its own rules");
  await visitor.sees("#model-t7", "T7 answers by its own rules.");
  await visitor.press("Ask t7-bridge");
  await visitor.sees("#answer-t7", "Wireless Repair Intervention Needed");
  say("T7 predicted what a person set, then by its own rules again");

  const choice = (model) => page.locator(`section[aria-labelledby=${model}-title] select[name=what]`);
  await choice("emailtagger").selectOption("4");
  await visitor.press("Let Email Tagger predict this");
  await visitor.press("Ask email-tagger-kre-bridge");
  await visitor.sees("#answer-emailtagger", /"tag_id": "4",\s+"probability": 0\.87/);
  await choice("repairtickets").selectOption("VAS");
  await visitor.press("Let Repair Tickets predict this");
  await visitor.press("Ask repair-tickets-kre-bridge");
  await visitor.sees("#answer-repairtickets", '"predicted_class": "VAS"');
  // What is typed and chosen stays while the page changes around it.
  assert.equal(await choice("repairtickets").inputValue(), "VAS");
  await visitor.press("Email Tagger: back to its own rules");
  await visitor.press("Repair Tickets: back to its own rules");
  say("a tag and a class set by a person came through the bridges");
}

async function dispatches(visitor) {
  const { page } = visitor;
  for (const [vendor, title, step, status] of [
    ["cts", "CTS", "Schedule a technician", "Scheduled"], ["lit", "LIT", "Confirm", "Request Confirmed"]]) {
    const newest = page.locator(`#${vendor}-dispatches .tickets > li`).first();
    const before = await newest.getAttribute("id");
    await visitor.press(`Enter a dispatch at ${title}`);
    await page.waitForFunction(([vendor, before]) => document.querySelector(`#${vendor}-dispatches .tickets > li`).id !== before, [vendor, before]);
    const number = (await newest.getAttribute("id")).replace("dispatch-", "");
    await visitor.sees(`#dispatch-${number}`, "ticket 5001");
    await page.locator(`#dispatch-${number} a.fold`).click();
    await visitor.press(`${step}: ${number}`);
    await visitor.sees(`#dispatch-${number} .word`, status);
    await visitor.press(`Ask the bridge for ${number}`);
    const answer = await visitor.sees(`#answer-${vendor}`, number);
    assert.ok((await answer.innerText()).includes(status), `${vendor}-bridge does not say ${status}`);
    await page.locator(`#dispatch-${number}`).getByLabel("Value").fill("typed");
    await visitor.press(`Remove ${number}`);
    await page.locator(`#dispatch-${number}`).waitFor({ state: "detached", timeout: PATIENCE });
  }
  say("a dispatch at CTS and one at LIT: entered, taken on, seen through the bridges, removed");
}

async function parameters(visitor) {
  const { page } = visitor;
  await visitor.press("Ask dri-bridge");
  await visitor.sees("#answer-dri", "204: not there yet");
  const serial = await page.locator("#dri-column").getByLabel("Serial number").first().inputValue();
  await visitor.sees(`#dri-${serial}`, "pending");
  await visitor.forwardUntil(`#dri-${serial} .done`, "complete");
  await visitor.press(`Ask again for ${serial}`);
  await visitor.sees("#answer-dri", "SIM1 Active and SIM2 Ready");
  await visitor.press(`Tasks of ${serial} are rejected`);
  await visitor.sees(`#dri-${serial} .bad`, "rejected");
  await visitor.press(`Tasks of ${serial} complete`);
  await visitor.sees(`#dri-${serial} .done`, "complete");
  say("a task at DRI: pending, then complete, and dri-bridge has its parameters");
}

async function besideTheNetwork(visitor) {
  const { page } = visitor;
  await page.goto(new URL("/", page.url()).href);
  await page.locator("html[data-live=yes]").waitFor();
  await everyService(visitor);
  await toCapabilities(visitor);
  await visitor.scan("probes, models and dispatches at first");
  await aProbe(visitor);
  await predictions(visitor);
  await dispatches(visitor);
  await parameters(visitor);
  await visitor.scan("probes, models and dispatches after all that");
  await visitor.picture("page-capabilities.png", "light");
  await visitor.press("Let T7 refuse");
  await visitor.sees("#model-t7", "refuses with UNAVAILABLE");
  await visitor.press("Ask t7-bridge");
  await visitor.sees("#answer-t7 .bad", "500");
  await visitor.press("T7: back to its own rules");
  await page.getByRole("link", { name: "Network, tickets" }).click();
  await page.locator("html[data-live=yes]").waitFor();
  // What was asked with a button is a request like others.
  await visitor.sees("#services .messages", "t7.prediction.request");
  const cells = await rowOf(page, "t7-bridge").locator("td").allInnerTexts();
  assert.ok(Number(cells[2]) > 0 && / ms$/.test(cells[3]) && / ms$/.test(cells[4]), `t7-bridge: ${cells}`);
  await visitor.sees("#party-t7 .troubled", "failed");
  say("T7 refused: the services' table counts it, with the time it took");
}

/**
 * Presses Enter on a button until a part reads so. Once is enough but for a rare case whose cause is not known: what the
 * page has then is told.
 */
async function enter(visitor, button, part, text) {
  const { page } = visitor;
  for (let times = 0; times < 3; times += 1) {
    await page.waitForFunction((button) => document.activeElement?.matches(button), button, { timeout: PATIENCE });
    await page.keyboard.press("Enter");
    const seen = page.locator(part).filter({ hasText: text }).first();
    if (await seen.waitFor({ timeout: 30_000 }).then(() => true, () => false)) return;
    const there = await page.evaluate((part) => ({
      live: document.documentElement.dataset.live,
      problem: document.getElementById("problem")?.textContent,
      focus: document.activeElement?.outerHTML.slice(0, 200),
      part: document.querySelector(part)?.textContent,
      story: document.getElementById("chapters")?.innerText.slice(0, 400),
    }), part);
    say(`Enter on ${button} brought no "${text}" within 30 s: ${JSON.stringify(there)}`);
  }
  throw new Error(`Enter on ${button} never brought "${text}"`);
}

async function byKeyboard(visitor) {
  const { page } = visitor;
  await page.goto(new URL("/", page.url()).href);
  await page.locator("html[data-live=yes]").waitFor();
  const focused = (what) => page.waitForFunction((what) => document.activeElement?.matches(what), what, { timeout: PATIENCE });
  const tabTo = async (what) => {
    for (let times = 0; times < 60; times += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((what) => document.activeElement?.matches(what), what)) return;
    }
    throw new Error(`the Tab key never came to ${what}`);
  };
  await page.keyboard.press("Tab");
  await focused(".skip");
  await tabTo("#search");
  await tabTo(".cell");
  const first = await page.evaluate(() => document.activeElement.id);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const cell = await page.evaluate(() => document.activeElement.id);
  assert.notEqual(cell, first);
  await page.keyboard.press("Enter");
  await visitor.sees("#device", cell.replace("cell-", ""));
  await focused("#device-title");
  await tabTo("#device .breaks");
  await enter(visitor, "#device .breaks", "#device .name", "down");
  // The button has become another one; the keyboard is still on it.
  await enter(visitor, "#device .heals", "#device .name", "up");
  await page.keyboard.press("Shift+Tab");

  await page.goto(new URL("/", page.url()).href);
  await tabTo("nav a:not([aria-current])");
  await page.keyboard.press("Enter");
  await page.locator("main.subjects").waitFor();
  await page.locator("html[data-live=yes]").waitFor();
  await tabTo("#probes button.breaks");
  const probe = await page.evaluate(() => document.activeElement.closest("li").id);
  await enter(visitor, `#${probe} button.breaks`, `#${probe} .word`, "fails");
  await enter(visitor, `#${probe} button.heals`, `#${probe} .word`, "well");
  await focused(`#${probe} button.breaks`);
  say("the keyboard is enough");
}

async function onAPhone(browser, address) {
  const context = await contextOf(browser, { viewport: { width: 360, height: 740 } });
  const visitor = new Visitor(await context.newPage());
  await visitor.page.goto(address);
  await visitor.page.locator("html[data-live=yes]").waitFor();
  const widths = () => visitor.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  const [start, wide] = await widths();
  assert.ok(start <= wide, `the page is ${start} px wide on a screen of ${wide} px`);
  await visitor.page.locator(".cell").first().click();
  await visitor.sees("#device", "Break the edge");
  assert.ok((await widths())[0] <= wide, "a device makes the page wider than the screen");
  await toCapabilities(visitor);
  await visitor.page.locator("#probe-2 a.fold").click();
  await visitor.sees("#probe-2", "Ask the bridge for this probe");
  await visitor.page.locator("#cts-dispatches a.fold").first().click();
  await visitor.sees("#cts-dispatches", "Service_Type__c");
  assert.ok((await widths())[0] <= wide, "probes or dispatches make the page wider than the screen");
  await context.close();
  say("on a phone nothing is wider than the screen");
}

async function withoutScript(browser, address) {
  const context = await contextOf(browser, { javaScriptEnabled: false });
  const visitor = new Visitor(await context.newPage());
  await visitor.page.goto(address);
  await visitor.press("Break some edge");
  await visitor.sees("#device .name", "down");
  await visitor.sees("#story .world .ago", /ago|now/);
  await visitor.press("Heal the edge");
  await visitor.sees("#device .name", "up");
  await visitor.page.getByRole("link", { name: "Probes, models, dispatches" }).click();
  const row = visitor.page.locator("#probe-2");
  await row.getByRole("button", { name: /^Fail probe/ }).click();
  await visitor.sees("#probe-2 .word", "fails");
  await visitor.press("Ask which probes are down");
  await visitor.sees("#answer-hawkeye", "1 entry");
  await row.getByRole("button", { name: /^Heal probe/ }).click();
  await visitor.sees("#probe-2 .word", "well");
  await context.close();
  say("works without script");
}

/** Figures to read; none is a condition, the machine may be busy. */
async function figures(page) {
  const times = await page.evaluate(() => {
    const updates = performance.getEntriesByName("update", "measure").map((one) => one.duration).sort((a, b) => a - b);
    return {
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
      median: updates[Math.floor(updates.length / 2)],
      slowest: updates.at(-1),
      updates: updates.length,
      cells: document.querySelectorAll(".cell").length,
    };
  });
  const ms = (value) => `${Math.round(value ?? NaN)} ms`;
  say(`first paint ${ms(times.paint)} with ${times.cells} edges; ${times.updates} updates, median ${ms(times.median)}, slowest ${ms(times.slowest)}`);
}

const fleet = await start();
let browser;
try {
  const address = await fleet.address();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  // Axe is brought in from outside of the page, whose rules allow its own script only.
  const context = await contextOf(browser, { viewport: { width: 1440, height: 900 }, bypassCSP: true });
  await context.addInitScript({ path: axe });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  const visitor = new Visitor(page);
  await page.goto(address);
  await page.locator("html[data-live=yes]").waitFor();
  await page.reload();
  await page.locator("html[data-live=yes]").waitFor();
  await visitor.sees("#topbar .good", /(\d+)\/\1 services ready/);
  await visitor.scan("the page at first");
  const outage = await anOutage(visitor);
  await visitor.scan("an outage with ticket, mail and trace");
  await moreTrouble(visitor);
  await visitor.picture("page-outage.png", "dark");
  await figures(page);
  await healed(visitor, outage);
  await visitor.picture("page-resolved.png", "light");
  await aFault(visitor);
  await visitor.scan("a fault");
  await besideTheNetwork(visitor);
  await byKeyboard(visitor);
  await withoutScript(browser, address);
  await onAPhone(browser, address);
  // Refused buttons are answers of the test's own making, not errors of the page.
  assert.deepEqual(errors, []);
  say("the page held");
} catch (error) {
  console.error(fleet.output().split("\n").slice(-60).join("\n"));
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser?.close();
  await fleet.stop();
}
