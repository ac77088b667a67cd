// Asks the stand-in for every path that it has and validates each answer against GitHub's OpenAPI document:
// node rest.mjs URL. The document's schemas are turned into JSON Schema first.

import { createRequire } from "node:module";
import Ajv from "ajv";
import formats from "ajv-formats";

const base = process.argv[2];
const document = createRequire(import.meta.url)("@octokit/openapi/generated/api.github.com.deref.json");
const ajv = formats(new Ajv({ strict: false, allErrors: true, validateFormats: true }));

/// OpenAPI 3.0 says `nullable` where JSON Schema has a type.
function jsonSchema(schema) {
  if (Array.isArray(schema)) return schema.map(jsonSchema);
  if (schema === null || typeof schema !== "object") return schema;
  const { nullable, example, examples, ...rest } = schema;
  const plain = {};
  for (const [key, value] of Object.entries(rest)) {
    if (key === "properties" || key === "patternProperties") {
      plain[key] = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, jsonSchema(one)]));
    } else {
      plain[key] = key === "enum" || key === "default" || key === "required" ? value : jsonSchema(value);
    }
  }
  return nullable ? { anyOf: [{ type: "null" }, plain] } : plain;
}

/// The schema of an operation's answer. The payload of an event is the one of its type, which a list of alternatives
/// does not say: it is looked at for itself.
const payloads = {};
function answerSchema(template, method, status) {
  const operation = document.paths[template]?.[method];
  if (!operation) throw new Error(`GitHub has no ${method} ${template}`);
  const answer = operation.responses[status];
  if (!answer) return undefined;
  const schema = structuredClone(answer.content?.["application/json"]?.schema ?? {});
  const payload = schema.items?.title === "Event" && schema.items.properties.payload;
  if (payload) {
    for (const one of payload.oneOf) payloads[one.title] ??= ajv.compile(jsonSchema(one));
    schema.items.properties.payload = { type: "object" };
  }
  return jsonSchema(schema);
}

/// What GitHub sends and its document leaves out: every error has its status.
const UNTOLD = ["/status"];

/// Fields of ours that GitHub's document does not know, as far as it lists all.
function unknown(schema, value, at = "") {
  if (Array.isArray(value)) return value.flatMap((one, index) => unknown(schema?.items, one, `${at}/${index}`));
  if (!schema?.properties || value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, one]) =>
    name in schema.properties ? unknown(schema.properties[name], one, `${at}/${name}`) : [`${at}/${name}`],
  ).filter((field) => !UNTOLD.includes(field));
}

const REPO = "/repos/{owner}/{repo}";
const sdk = "/repos/acme-corp/rival-sdk";
const star = { accept: "application/vnd.github.star+json" };
const matches = { accept: "application/vnd.github.text-match+json" };

const get = async (path, token = "owner", headers = {}) =>
  fetch(base + path, { redirect: "manual", headers: { authorization: `Bearer ${token}`, "user-agent": "check", ...headers } });
const hook = (await (await get(`${sdk}/hooks`)).json())[0].id;
const delivery = (await (await get(`${sdk}/hooks/${hook}/deliveries`)).json())[0].id;
const HOOK = `${REPO}/hooks/{hook_id}`;

// [template, path, status, headers or token]
const asked = [
  ["/rate_limit", "/rate_limit", 200],
  ["/events", "/events?per_page=100", 200],
  [REPO, sdk, 200],
  [REPO, "/repos/acme-corp/former-sdk", 301],
  [REPO, "/repos/acme-corp/none", 404],
  [`${REPO}/languages`, `${sdk}/languages`, 200],
  [`${REPO}/events`, `${sdk}/events?per_page=100`, 200],
  [`${REPO}/stargazers`, `${sdk}/stargazers`, 200],
  [`${REPO}/stargazers`, `${sdk}/stargazers?per_page=2&page=2`, 200, star],
  [`${REPO}/stargazers`, `${sdk}/stargazers?page=401`, 422],
  [`${REPO}/commits`, "/repos/ada-example/loom/commits?path=src/main.rs", 200],
  [`${REPO}/issues/{issue_number}`, `${sdk}/issues/1`, 200],
  [`${REPO}/issues/{issue_number}`, `${sdk}/issues/2`, 200],
  [`${REPO}/issues/{issue_number}`, `${sdk}/issues/9`, 404],
  [`${REPO}/issues/{issue_number}/comments`, `${sdk}/issues/1/comments`, 200],
  [`${REPO}/pulls/{pull_number}`, `${sdk}/pulls/2`, 200],
  [`${REPO}/hooks`, `${sdk}/hooks`, 200],
  [HOOK, `${sdk}/hooks/${hook}`, 200],
  [HOOK, `${sdk}/hooks/1`, 404],
  [`${HOOK}/deliveries`, `${sdk}/hooks/${hook}/deliveries?per_page=2`, 200],
  [`${HOOK}/deliveries`, `${sdk}/hooks/${hook}/deliveries?cursor=x`, 422],
  [`${HOOK}/deliveries/{delivery_id}`, `${sdk}/hooks/${hook}/deliveries/${delivery}`, 200],
  ["/users/{username}", "/users/ada-example", 200],
  ["/users/{username}", "/users/acme-corp", 200],
  ["/users/{username}", "/users/nobody", 404],
  ["/user/{account_id}", "/user/1002", 200],
  ["/users/{username}/repos", "/users/ada-example/repos?sort=pushed", 200],
  ["/search/issues", "/search/issues?q=hosted", 200],
  ["/search/issues", "/search/issues?q=hosted+is:pr", 200, matches],
  ["/search/issues", "/search/issues?q=", 422],
  ["/search/code", "/search/code?q=rival", 200],
  ["/search/code", "/search/code?q=client", 200, matches],
  ["/search/code", "/search/code?q=", 422],
  // Any path can be refused; the form of an error is the same everywhere, and the document tells it at few paths.
  ["/search/issues", "/search/issues?q=hosted&page=2000", 422],
  [`${REPO}/stargazers`, `${sdk}/stargazers`, 403, "other", REPO],
  [`${REPO}`, sdk, 403, "suspended"],
  ["/users/{username}", "/users/limited", 403, "other", REPO],
  ["/users/{username}", "/users/failing", 500, "owner", "/search/code"],
];

let faults = 0;
const wrong = (path, text) => {
  faults += 1;
  console.log(`${path}: ${text}`);
};

/// The form of errors: `Basic Error`.
const basicError = document.paths[REPO].get.responses[404].content["application/json"].schema;

for (const [template, path, status, extra, borrowed] of asked) {
  const token = typeof extra === "string" ? extra : "owner";
  const answer = await get(path, token, typeof extra === "object" ? extra : {});
  if (answer.status !== status) {
    wrong(path, `${answer.status} and not ${status}`);
    continue;
  }
  const body = await answer.json();
  const schema = answerSchema(template, "get", status) ?? (borrowed && jsonSchema(basicError));
  if (!schema) {
    wrong(path, `GitHub documents no ${status}`);
    continue;
  }
  const validate = ajv.compile(schema);
  if (!validate(body)) wrong(path, ajv.errorsText(validate.errors, { separator: "\n  " }));
  for (const field of unknown(schema, body)) wrong(path, `GitHub has no field ${field}`);
  for (const event of status === 200 && path.includes("/events") ? body : []) {
    const payload = payloads[event.type];
    if (!payload) wrong(path, `no payload of ${event.type}`);
    else if (!payload(event.payload)) wrong(`${path} ${event.type}`, ajv.errorsText(payload.errors));
  }
  for (const name of ["limit", "remaining", "used", "reset", "resource"]) {
    if (token !== "suspended" && !answer.headers.has(`x-ratelimit-${name}`)) wrong(path, `no x-ratelimit-${name}`);
  }
}

const again = await fetch(`${base}${sdk}/hooks/${hook}/deliveries/${delivery}/attempts`, {
  method: "POST",
  headers: { authorization: "Bearer owner", "user-agent": "check" },
});
const accepted = ajv.compile(answerSchema(`${HOOK}/deliveries/{delivery_id}/attempts`, "post", 202));
if (again.status !== 202 || !accepted(await again.json())) wrong("attempts", `${again.status}`);

// What is less than an answer is seen to be.
if (ajv.compile(answerSchema(REPO, "get", 200))({ id: 7 })) wrong(REPO, "anything is taken for a repository");

const kinds = Object.keys(payloads).length;
console.log(`${asked.length + 1} answers, ${kinds} kinds of payload known, ${faults} faults`);
process.exit(faults === 0 && kinds > 10 ? 0 : 1);
