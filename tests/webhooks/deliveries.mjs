// Has a live server deliver every event to two endpoints, with a generated secret and with one of the subscriber's, before and
// during a rotation of both, and verifies all of it as a subscriber would:
// node deliveries.mjs OPENAPI-FILE FILE-FOR-DELIVERIES.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { call, leadOf, receiver, REPOS, star } from "./subscriber.mjs";

const [openapi, file] = process.argv.slice(2);
/// It comes when a poll finds a source out of order, which nobody here waits for.
const MAYBE = ["source.degraded"];
const EVENTS = JSON.parse(readFileSync(openapi)).components.schemas.WebhookEvent.enum.filter((event) => !MAYBE.includes(event));
const OWN = ["a secret of the subscriber", "another secret of the subscriber"];

const ears = await receiver();
const endpoints = [];
for (const [path, secret] of [["/generated", undefined], ["/own", OWN[0]]]) {
  const made = await call("POST", "/v1/webhooks", 201, { url: ears.url(path), events: [...EVENTS, ...MAYBE], secret });
  endpoints.push({ path, id: made.id, secrets: [made] });
}

/// Waits until each endpoint took what fits.
async function taken(what, fits) {
  for (const { path } of endpoints) {
    await ears.hears(`${path} took ${what}`, (one) => one.path === path && one.status === 200 && fits(one.body));
  }
}

/// Everything that can happen to a person's lead, each once the event before was taken.
async function live(person) {
  const of = (event) => (body) => body.event === event && body.data.github_username === person[1];
  await star(person, REPOS[0]);
  for (const event of ["lead.created", "lead.enriched"]) await taken(event, of(event));
  await star(person, REPOS[1]);
  await taken("lead.signal_added", of("lead.signal_added"));
  const lead = await leadOf(person);
  await call("PATCH", `/v1/leads/${lead}`, 200, { status: "contacted", notes: "Wrote on Monday – “hello”" });
  await taken("lead.updated", of("lead.updated"));
  await call("DELETE", `/v1/people/${person[1]}`, 204);
  await taken("lead.erased", (body) => body.event === "lead.erased" && body.data.id === lead);
  for (const { id } of endpoints) assert.equal((await call("POST", `/v1/webhooks/${id}/test`, 200)).delivered, true);
}

await live([1001, "ada-example"]);

// Refused at first, so that a delivery is under way while the secret is rotated.
const ben = [1002, "ben-example"];
const refused = new Set();
ears.answer = ({ path, body }) => {
  if (body.data.github_username !== ben[1] || refused.has(path)) return 200;
  refused.add(path);
  return 503;
};
const living = live(ben);
for (const { path } of endpoints) {
  await ears.hears("a refused delivery", (one) => one.path === path && one.status === 503);
}
for (const endpoint of endpoints) {
  const secret = endpoint.path === "/own" ? OWN[1] : undefined;
  const rotated = await call("POST", `/v1/webhooks/${endpoint.id}/rotate-secret`, 200, { secret });
  assert.equal(rotated.previous.secret, endpoint.secrets[0].secret);
  endpoint.secrets.push(rotated);
}
await living;
for (const { id } of endpoints) await call("DELETE", `/v1/webhooks/${id}`, 204);
ears.close();

/// Whether the library takes the delivery with that secret.
function verifies({ raw, headers }, { secret, signing_secret: standard = secret }) {
  try {
    return new Webhook(standard).verify(raw.toString(), headers);
  } catch {
    return false;
  }
}

const hmac = ({ raw }, { secret }) => `sha256=${createHmac("sha256", secret).update(raw).digest("hex")}`;

const kept = [];
for (const { path, secrets: [old, next] } of endpoints) {
  const heard = ears.heard.filter((one) => one.path === path);
  for (const rotating of [false, true]) {
    const part = heard.filter((one) => one.headers["webhook-signature"].split(" ").length === (rotating ? 2 : 1));
    const events = new Set(part.map((one) => one.body.event));
    assert.deepEqual(EVENTS.filter((event) => !events.has(event)), [], `${path}, rotating: ${rotating}`);
    for (const one of part) {
      const { headers, body } = one;
      const valid = rotating ? [old, next] : [old];
      for (const secret of valid) assert.deepEqual(verifies(one, secret), body);
      // What is not valid yet, or was changed on the way, is refused.
      if (!rotating) assert.equal(verifies(one, next), false);
      assert.equal(verifies({ ...one, raw: Buffer.concat([one.raw, Buffer.from(" ")]) }, old), false);
      assert.equal(headers["x-gitleads-signature"], hmac(one, old));
      assert.equal(headers["x-gitleads-signature-next"], rotating ? hmac(one, next) : undefined);
      assert.equal(headers["webhook-id"], body.id);
      assert.deepEqual([headers["x-gitleads-event"], body.type], [body.event, body.event]);
      kept.push({
        headers,
        body: one.raw.toString("base64"),
        valid: valid.map(({ secret, signing_secret: standard = secret }) => standard),
        invalid: rotating ? [] : [next.signing_secret ?? next.secret],
      });
    }
    console.log(`${path}, ${rotating ? "two secrets" : "one secret"}: ${part.length} requests of ${[...events].sort().join(", ")}`);
  }
  // The one that was under way came with the same id and body, and both signatures the second time.
  const [first, second] = heard.filter((one) => one.body.event === "lead.created" && one.body.data.github_username === ben[1]);
  assert.deepEqual([first.status, second.status], [503, 200]);
  assert.deepEqual([second.headers["webhook-id"], second.raw], [first.headers["webhook-id"], first.raw]);
  assert.deepEqual([first, second].map((one) => Boolean(verifies(one, next))), [false, true]);
}
writeFileSync(file, JSON.stringify(kept));
