// Has the program's own client and readers take every answer of GitHub that github3.py, PyGithub, @octokit/fixtures and octocrab hold,
// and compares what they make of it with what stands there: node recorded.mjs READ_GITHUB.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { kindOf, meaning, moment, text } from "./meaning.mjs";
import { fixtures, github3, octocrab, octocrabNames, parse, pygithub } from "./packages.mjs";
import { API, replay } from "./replay.mjs";

/// A repository that octocrab's bodies are given out for; they name others, or none.
const ANY = "acme-corp/rival-sdk";
const OCTOCRAB = [
  ["stargazers", `/repos/${ANY}/stargazers`],
  ["search_issues", "/search/issues"],
  ["user_data", "/users/octocat"],
  ["hooks_delivery_list", `/repos/${ANY}/hooks/1/deliveries`],
  ["repo_hook_delivery_detail", `/repos/${ANY}/hooks/1/deliveries/42`],
  ["repo_hooks", `/repos/${ANY}/hooks`],
];
const OCTOCRAB_EVENTS = ["commit_comment", "create", "delete", "fork", "gollum", "issue_comment", "issues", "member", "public",
  "pull_request", "pull_request_review", "pull_request_review_comment", "push", "release", "unknown", "watch", "workflow_run"];

/// What PyGithub made up: profiles with values that GitHub never gives, and one that breaks off.
const WRONG = /BadAttributes|JSONParseError/;
/// A larger answer is not taken; a page of 100 events has about one megabyte.
const LARGEST = 16 * 1024 * 1024;

const scenarios = [...github3(), ...pygithub(), ...fixtures(), ...OCTOCRAB.map((one) => octocrab(...one))];
for (const name of OCTOCRAB_EVENTS) {
  const scenario = octocrab(`${name}_event`, `/repos/${ANY}/events`);
  // The crate reads these one by one; GitHub lists them.
  for (const reply of scenario.replies) reply.body = Buffer.from(`[${reply.body}]`);
  scenarios.push(scenario);
}
const github = await replay(scenarios);

const child = spawn(process.argv[2], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

async function ask(question) {
  child.stdin.write(`${JSON.stringify(question)}\n`);
  const { value, done } = await answers.next();
  assert(!done, `the program ended at ${JSON.stringify(question)}`);
  return JSON.parse(value);
}

/// The question for a reply as the scenario's client asked for it, at the time at which it did.
function question(scenario, index, read, more = {}) {
  const { headers } = scenario.replies[index];
  // After all that is recorded without a date.
  const at = moment(headers.date ?? "2026-11-01T00:00:00Z");
  return { base: github.base(scenario.name, index), at, read, ...more };
}

/// How much there is in these versions of the packages, so that nothing is left out unseen.
const FIGURES = {
  "answers fresh": 2337,
  "answers that an ETag saves": 2217,
  "read as repository": 416,
  "answers moved": 15,
  "answers same": 29,
  "answers denied": 11,
  "answers failed": 57,
  "answers not_found": 60,
  "read as user": 107,
  "read as events": 37,
  "events: items": 833,
  "events: activities": 326,
  "read as issues": 7,
  "issues: items": 103,
  "issues: activities": 103,
  "read as hooks": 5,
  "read as stargazers": 7,
  "stargazers: items": 206,
  "stargazers: activities": 138,
  GraphQL: 49,
  "GraphQL that is no search": 49,
  "read as deliveries": 2,
  "read as payload": 2,
  "answers limited": 2,
  "read as user with languages": 1,
};
const counts = {};
function count(what, by = 1) {
  counts[what] = (counts[what] ?? 0) + by;
}

const failures = [];
function same(scenario, index, read, found, expected) {
  try {
    assert.deepEqual(found, expected);
    count(read);
  } catch {
    failures.push({ scenario: scenario.name, index, read, found, expected });
  }
}

const links = (reply) =>
  Object.fromEntries([...(reply.headers.link ?? "").matchAll(/<([^>]*)>;[^<]*?rel="(\w+)"/g)].map(([, to, rel]) => [rel, new URL(to)]));

/// What GitHub's documentation says of a status.
function answerOf(scenario, index, isMoved = false) {
  const reply = scenario.replies[index];
  const { status, headers, body } = reply;
  if (status === 304) return { answer: "same" };
  if (status === 404 || status === 410) return { answer: "not_found" };
  if (status === 401) return { answer: "denied" };
  if (status === 403 || status === 429) {
    const isLimit = status === 429 || headers["retry-after"] || headers["x-ratelimit-remaining"] === "0" || /rate limit|abuse/i.test(body);
    return { answer: isLimit ? "limited" : "denied" };
  }
  if (status > 300 && status < 400) {
    if (!headers.location.startsWith(API)) return { answer: "moved" };
    const to = new URL(headers.location);
    const next = scenario.replies[index + 1];
    const isNext = next?.method === "GET" && next.url.href === to.href;
    return isNext ? answerOf(scenario, index + 1, true) : { answer: "not_found" };
  }
  if (status !== 200 || body.length > LARGEST) return { answer: "failed" };
  const { next, last } = links(reply);
  return {
    answer: "fresh",
    etag: headers.etag ?? null,
    has_next: next !== undefined,
    last_page: last ? Number(last.searchParams.get("page")) : null,
    is_moved: isMoved,
    read: null,
  };
}

/// Every answer to a GET is told for what it is.
async function everyAnswer(scenario) {
  for (const [index, reply] of scenario.replies.entries()) {
    if (reply.method !== "GET" || reply.url.origin !== API) continue;
    const { until, reason, ...found } = await ask(question(scenario, index, "nothing", { path: reply.url.pathname + reply.url.search }));
    const expected = answerOf(scenario, index);
    same(scenario, index, `answers ${expected.answer}`, found, expected);
    if (expected.answer === "fresh" && reply.headers.etag && !expected.is_moved) {
      const again = question(scenario, index, "nothing", { path: reply.url.pathname + reply.url.search, etag: reply.headers.etag });
      same(scenario, index, "answers that an ETag saves", await ask(again), { answer: "same" });
    }
  }
}

function starsOf(items, repo) {
  const whole = items.filter(({ starred_at, user }) => starred_at && user);
  const stars = whole.map(({ starred_at, user }) => ["starred", repo, user.id, user.login, kindOf(user), moment(starred_at)]);
  return { items: items.length, activities: stars };
}

function eventsOf(events, repo) {
  const whole = events.filter((event) => event.type);
  const told = whole.filter((event) => event.public !== false)
    .map((event) => meaning(event.type, event.payload, event.actor, repo, event.created_at));
  const of = (word) => told.filter((one) => one === word).length;
  const broken = events.length - whole.length + of("broken");
  const activities = told.filter((one) => Array.isArray(one));
  return { items: events.length, marks: whole.length, broken, bare: of("bare"), activities };
}

function issuesOf({ items, incomplete_results }) {
  const written = items.filter((item) => item.user && text(item)).map((item) => {
    const repo = /\/\/[^/]+\/([^/]+\/[^/]+)\//.exec(item.html_url)[1];
    const place = item.pull_request ? "prs" : "issues";
    return [[place, text(item), item.html_url], repo, item.user.id, item.user.login, kindOf(item.user), moment(item.created_at)];
  });
  const newest = items.map((item) => moment(item.created_at)).sort().at(-1) ?? null;
  return { items: items.length, newest, is_incomplete: incomplete_results ?? false, activities: written };
}

function profileOf(user) {
  const filled = (value) => value?.trim() || null;
  const { login, followers = null, public_repos = null } = user;
  const account_created_at = user.created_at ? moment(user.created_at) : null;
  const [name, email, bio, company, location] = ["name", "email", "bio", "company", "location"].map((key) => filled(user[key]));
  return { login, name, email, bio, company, location, followers, public_repos, account_created_at, top_languages: [] };
}

const deliveriesOf = (list) => list.map((one) => [one.id, one.guid, moment(one.delivered_at), one.event,
  one.status_code >= 200 && one.status_code < 300, one.event === "issues" && one.action === "opened"]);

/// What is read by path, and what stands in it.
const READERS = [
  ["stargazers", /^\/repos\/([^/]+\/[^/]+)\/stargazers$/, starsOf],
  ["events", /^\/repos\/([^/]+\/[^/]+)\/events$/, eventsOf],
  ["events", /^\/(?:users|orgs|networks)\/[^?]*\/events\b[^?]*$|^\/events$/, eventsOf],
  ["issues", /^\/search\/issues$/, issuesOf],
  ["repository", /^\/repos\/([^/]+\/[^/]+)$/, ({ full_name, stargazers_count = null, private: hidden = null }) =>
    full_name ? [full_name, stargazers_count, hidden] : null],
  ["hooks", /^\/repos\/([^/]+\/[^/]+)\/hooks$/, () => []],
  ["deliveries", /^\/repos\/([^/]+\/[^/]+)\/hooks\/\d+\/deliveries$/, deliveriesOf],
  ["payload", /^\/repos\/([^/]+\/[^/]+)\/hooks\/\d+\/deliveries\/\d+$/, (one) => one.request.payload],
];

/// Everything that the program has a reader for is read as it stands there.
async function everyReader(scenario) {
  for (const [index, reply] of scenario.replies.entries()) {
    if (reply.method !== "GET" || reply.url.origin !== API || answerOf(scenario, index).answer !== "fresh") continue;
    const path = reply.url.pathname;
    for (const [read, pattern, expected] of READERS) {
      const found = pattern.exec(path);
      if (!found) continue;
      const repo = found[1] ?? ANY;
      // A name that was given up leads to the repository, which was asked for next.
      const body = parse(reply.status === 200 ? reply : scenario.replies[index + 1]);
      // Lists are asked for at the program's own paths; what is no list of a repository at that of the recording.
      const own = found[1] && ["stargazers", "events", "repository", "hooks"].includes(read) || read === "issues";
      const page = Number(reply.url.searchParams.get("page") ?? 1);
      const told = await ask(question(scenario, index, read, own ? { repo, page } : { repo, path: path + reply.url.search }));
      same(scenario, index, `read as ${read}`, told.read, expected(body, repo));
      if (told.read?.activities) {
        count(`${read}: items`, told.read.items);
        count(`${read}: activities`, told.read.activities.length);
      }
    }
  }
}

/// A person's profile, by the number as the program asks for it. Nobody recorded the repositories beside it.
async function everyPerson(scenario) {
  for (const [index, reply] of scenario.replies.entries()) {
    if (reply.method !== "GET" || reply.status !== 200 || !/^\/(?:users\/[^/]+|user\/\d+)$/.test(reply.url.pathname)) continue;
    if (reply.url.origin !== API) continue;
    if (WRONG.test(scenario.name) || reply.body.length === 0) continue;
    const user = parse(reply);
    const { read: { provenance, ...profile } = {}, ...found } = await ask(question(scenario, index, "user", { id: user.id }));
    const isPerson = (user.type ?? "User") === "User";
    const expected = isPerson ? { answer: "fresh", languages_known: false, etag: null } : { answer: "not_found" };
    same(scenario, index, "read as user", { ...found, profile }, { ...expected, profile: isPerson ? profileOf(user) : {} });
  }
}

/// A person with repositories and their languages: no client asked for all of it, so it is put together.
async function wholePerson() {
  const [user] = octocrab("user_data", "/users/octocat").replies;
  const [repos] = octocrab("user_repositories", "/users/octocat/repos").replies;
  const own = parse(repos).filter(({ fork }) => !fork);
  const [languages] = github3().find(({ name }) => name.endsWith("/Repository_languages.json")).replies.slice(-1);
  const of = own.map(({ full_name }) => ({ ...languages, url: new URL(`/repos/${full_name}/languages`, API) }));
  const scenario = { name: "put-together/person", replies: [user, repos, ...of] };
  const whole = await replay([scenario]);
  const asked = { ...question(scenario, 0, "user", { id: parse(user).id }), base: whole.base(scenario.name) };
  const { read: { provenance, ...profile }, ...found } = await ask(asked);
  whole.close();
  const ranked = Object.entries(parse(languages)).sort(([, one], [, other]) => other - one).map(([language]) => language);
  const expected = { ...profileOf(parse(user)), top_languages: ranked.slice(0, 5) };
  same(scenario, 0, "read as user with languages", { ...found, profile }, { answer: "fresh", languages_known: true, etag: null, profile: expected });
}

/// What GraphQL answered to others is told as data or as none. None of them asked what the program asks, so its readers refuse it.
async function everyGraphql(scenario) {
  for (const [index, reply] of scenario.replies.entries()) {
    if (reply.method !== "POST" || reply.url.href !== `${API}/graphql`) continue;
    const { query, variables } = JSON.parse(reply.asked);
    const { data, errors = [] } = parse(reply);
    const asked = { query, variables };
    const { reason, ...found } = await ask(question(scenario, index, "graphql", asked));
    const absent = errors.filter((error) => error.type === "NOT_FOUND").map((error) => error.path[0]);
    same(scenario, index, "GraphQL", found, data ? { answer: "fresh", read: data, absent } : { answer: "failed" });
    if (!data) continue;
    const told = await ask(question(scenario, index, "discussions", asked));
    same(scenario, index, "GraphQL that is no search", told.read, { error: "no result of a search" });
  }
}

for (const scenario of scenarios) {
  for (const every of [everyAnswer, everyReader, everyPerson, everyGraphql]) await every(scenario);
}
await wholePerson();
child.stdin.end();
github.close();
for (const failure of failures.slice(0, 20)) console.log(JSON.stringify(failure).slice(0, 2_000));
console.log(counts);
assert.equal(failures.length, 0, "the program made something else of what was recorded");
assert.deepEqual(counts, FIGURES, "another number than there is in these versions of the packages");
const all = scenarios.flatMap(({ replies }) => replies);
const isRead = new Set([...OCTOCRAB.map(([name]) => name), ...OCTOCRAB_EVENTS.map((name) => `${name}_event`), "user_repositories"]);
const others = octocrabNames().filter((name) => !isRead.has(name) && !name.endsWith("_webhook_event")).length;
const writes = all.filter(({ method, url }) => method !== "GET" && url.pathname !== "/graphql").length;
const elsewhere = all.filter(({ method, url }) => method === "GET" && url.origin !== API).length;
console.log(`Not of use: ${writes} writes, ${elsewhere} answers of other hosts, ${others} resources of octocrab that the program never asks for`);
