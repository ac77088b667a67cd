// Has a live server read a recorded list of stargazers and take recorded deliveries: node recorded_server.mjs REPLAY, where the
// server's GitHub is.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { kindOf, meaning, moment } from "./meaning.mjs";
import { deliveries, github3, octocrab, octocrabNames, parse } from "./packages.mjs";

const replay = process.argv[2];
const { GITLEADS_URL: base, GITLEADS_KEY: key, GITLEADS_GITHUB_WEBHOOK_SECRET: secret } = process.env;
const AT_MOST = 120_000;
const OWN = "betamaxpy/betamax";
const HELLO = "Codertocat/Hello-World";
/// Each stands in some of the texts of the deliveries, no two in one, and in each kind of place.
const KEYWORDS = ["README", "fixed", "right away", "really good change", "more emoji", "answer", "test edit"];
const ALL_PLACES = ["issues", "prs", "discussions", "code"];

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text;
}

const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const leads = async () => lines(await call("GET", "/v1/leads/export?format=ndjson"));
const signals = async ({ id }) => JSON.parse(await call("GET", `/v1/leads/${id}`)).signals;
const sorted = (rows) => rows.map((row) => JSON.stringify(row)).sort();

/// Every star of the recorded pages, and no other, becomes the signal of a lead.
async function stars() {
  const [{ replies }] = github3().filter(({ name }) => name.endsWith("/Repository_stargazers.json"));
  const expected = replies.filter(({ url }) => url.pathname.endsWith("/stargazers")).flatMap(parse);
  assert.equal(expected.length, 484);
  await call("POST", "/v1/tracked-repos", { full_name: OWN, type: "own" });
  let found = [];
  for (const until = Date.now() + AT_MOST; found.length < expected.length && Date.now() < until; await sleep(200)) found = await leads();
  const rows = [];
  for (const lead of found) {
    for (const { type, source, occurred_at, collector } of await signals(lead)) {
      rows.push([lead.github_username, type, source, moment(occurred_at), collector]);
    }
  }
  const row = ({ user, starred_at }) => [user.login, "stargazer", OWN, moment(starred_at), "stargazer_list"];
  assert.deepEqual(sorted(rows), sorted(expected.map(row)));
  const asked = await (await fetch(new URL("/asked", replay))).json();
  const pages = asked.filter(({ path, accept }) => path.includes("/stargazers?") && accept.includes("star+json"));
  // The first tells how many there are; then from the newest to the oldest.
  const numbers = pages.map(({ path }) => new URL(path, replay).searchParams.get("page"));
  assert.deepEqual(numbers, ["1", "5", "4", "3", "2", "1"]);
  console.log(`${rows.length} stars of ${found.length} people from ${numbers.length} pages`);
}

/// Posts a delivery as GitHub does, every other one as a form; the status and the word.
async function deliver(event, payload, isForm) {
  const json = JSON.stringify(payload);
  const body = isForm ? new URLSearchParams({ payload: json }).toString() : json;
  const headers = {
    "content-type": isForm ? "application/x-www-form-urlencoded" : "application/json",
    "x-github-delivery": randomUUID(),
    "x-github-event": event,
    "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
  };
  const response = await fetch(`${base}/github/webhooks`, { method: "POST", headers, body });
  return [response.status, (await response.json()).status];
}

/// octocrab's deliveries, by the names of their files.
function octocrabDeliveries() {
  const names = octocrabNames().map((name) => /^(.*)_webhook_event$/.exec(name)?.[1]).filter(Boolean);
  return names.map((name) => {
    const event = /^(.*?)(_(created|deleted|edited|labeled|opened|closed|synchronize|new_permissions_accepted|removed))?$/.exec(name)[1];
    return { host: "octocrab", event, payload: parse(octocrab(`${name}_webhook_event`, "/").replies[0]) };
  });
}

/// What the deliveries come to, one after the other: the signals of each person, once each.
function expectedOf(list) {
  const people = new Map();
  const answers = [];
  const found = new Map(KEYWORDS.map((keyword) => [keyword, new RegExp(`(?<![\\p{L}\\p{N}])${keyword}(?![\\p{L}\\p{N}])`, "iu")]));
  for (const { event, payload } of list) {
    const { repository, sender } = payload;
    const told = repository?.private ? undefined : meaning(event, payload, sender, repository?.full_name, payload.starred_at ?? 0);
    answers.push(told ? [202, "accepted"] : [200, "ignored"]);
    if (!told || told[4] !== "User") continue;
    const [act, repo, id, login] = told;
    const put = (row) => people.set(login, new Map(people.get(login)).set(JSON.stringify([id, ...row.slice(0, 3)]), row));
    if (!Array.isArray(act) && repo.toLowerCase() === HELLO.toLowerCase()) put(["stargazer", HELLO, null, null, act === "unstarred"]);
    if (!Array.isArray(act)) continue;
    const [place, text, url] = act;
    const keyword = KEYWORDS.find((keyword) => found.get(keyword).test(text));
    const type = { issues: "keyword_issue", prs: "keyword_pr", discussions: "keyword_discussion", code: "keyword_code" }[place];
    if (keyword) put([type, repo, url, keyword, false]);
  }
  return { people, answers };
}

/// Every recorded delivery is answered for what it is, and what concerns the tracked becomes signals.
async function webhooks() {
  await call("POST", "/v1/tracked-repos", { full_name: HELLO, type: "competitor" });
  for (const keyword of KEYWORDS) await call("POST", "/v1/tracked-keywords", { keyword, scan_targets: ALL_PLACES });
  const before = new Set((await leads()).map(({ id }) => id));
  const list = [...deliveries(), ...octocrabDeliveries()];
  assert.equal(list.filter(({ host }) => host === "api.github.com").length, 329);
  const expected = expectedOf(list);
  const answered = [];
  for (const [index, { event, payload }] of list.entries()) answered.push(await deliver(event, payload, index % 2 === 1));
  const wrong = answered.map((answer, index) => ({ answer, expected: expected.answers[index], ...list[index] }))
    .filter(({ answer, expected }) => String(answer) !== String(expected));
  for (const one of wrong.slice(0, 10)) console.log(JSON.stringify(one).slice(0, 500));
  assert.equal(wrong.length, 0, "deliveries were answered otherwise");
  const rows = [];
  for (const lead of (await leads()).filter(({ id }) => !before.has(id))) {
    for (const { type, source, url, keyword, taken_back_at, collector } of await signals(lead)) {
      rows.push([lead.github_username, type, source, url, keyword, taken_back_at !== null, collector]);
    }
  }
  const all = [...expected.people].flatMap(([login, signals]) => [...signals.values()].map((row) => [login, ...row, "github_webhook"]));
  assert.deepEqual(sorted(rows), sorted(all));
  const accepted = answered.filter(([status]) => status === 202).length;
  assert.deepEqual([list.length, accepted, rows.length], [742, 94, 14], "another number than in these versions of the packages");
  console.log(`${list.length} deliveries, ${accepted} accepted: ${rows.length} signals of ${expected.people.size} people`);
}

await stars();
await webhooks();
