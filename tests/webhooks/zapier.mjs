// Drives zapier_app.cjs with Zapier's own tester against a live server: sign in, set up, subscribe, receive, unsubscribe.

import assert from "node:assert/strict";
import zapier from "zapier-platform-core";
import App from "./zapier_app.cjs";
import { call, receiver, REPOS, star } from "./subscriber.mjs";

// Zapier's library tells of its memory at every call.
console.log = () => {};
const operation = App.triggers.lead.operation;
const tester = zapier.createAppTester(App);
const authData = { server: process.env.GITLEADS_URL, api_key: process.env.GITLEADS_KEY };

const faults = await zapier.createAppHandler(App)({ command: "validate" });
assert.deepEqual(faults.results, []);

const account = await tester(App.authentication.test, { authData });
assert.deepEqual(account, await call("GET", "/v1/account", 200));
const wrong = { ...authData, api_key: "gl_live_wrong" };
await assert.rejects(tester(App.authentication.test, { authData: wrong }), /Invalid or missing API key/);

const ears = await receiver();
const inputData = { event: "lead.created", repo: REPOS[0] };
const bundle = { authData, inputData, targetUrl: ears.url("/zap") };
const subscribed = await tester(operation.performSubscribe, bundle);
const endpoint = await call("GET", `/v1/webhooks/${subscribed.id}`, 200);
assert.deepEqual([endpoint.url, endpoint.events, endpoint.filters.repos], [bundle.targetUrl, ["lead.created"], [REPOS[0]]]);
const other = await call("POST", "/v1/webhooks", 201, { url: ears.url("/other"), events: ["lead.created"] });
// Zapier shows the user why it was refused.
await assert.rejects(tester(operation.performSubscribe, { ...bundle, targetUrl: "ftp://zap.example.com/" }), /url: /);

const takes = (path, [, login]) => (one) => one.path === path && one.body.data.github_username === login;
const people = [2001, 2002, 2003].map((id) => [id, `zoe-example-${id}`]);
// Of the other repository: not what was subscribed to.
await star(people[0], REPOS[1]);
await ears.hears("the other repository's lead", takes("/other", people[0]));
await star(people[1], REPOS[0]);
const delivery = await ears.hears("the repository's lead", takes("/zap", people[1]));
assert.equal(ears.heard.some(takes("/zap", people[0])), false);
const request = {
  cleanedRequest: delivery.body,
  rawRequest: { method: "POST", querystring: "", headers: delivery.headers, content: delivery.raw.toString() },
  subscribeData: subscribed,
};
const results = await tester(operation.perform, { ...bundle, ...request });
assert.equal(results.length, 1);
assert.equal(results[0].github_username, people[1][1]);

const listed = await tester(operation.performList, bundle);
assert.ok(listed.length > 0 && listed.every((lead) => lead.signal_source === REPOS[0]));
const lead = listed.find(({ id }) => id === results[0].id);
assert.ok(lead, "the lead that was told is among the newest");
// Whoever maps a field while setting up finds it again in what comes.
assert.deepEqual(Object.keys(lead).filter((field) => !(field in results[0])), []);

const left = await tester(operation.performUnsubscribe, { ...bundle, subscribeData: subscribed });
assert.equal(left.status, 204);
await call("GET", `/v1/webhooks/${subscribed.id}`, 404);
await star(people[2], REPOS[0]);
await ears.hears("the lead after that", takes("/other", people[2]));
assert.equal(ears.heard.some(takes("/zap", people[2])), false);
await call("DELETE", `/v1/webhooks/${other.id}`, 204);
ears.close();
console.info(`subscribed, took ${results[0].github_username}, listed ${listed.length}, unsubscribed`);
