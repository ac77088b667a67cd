// Reads what others recorded of GitHub out of their packages, as scenarios: `{ name, replies }` with the replies in the order in
// which they came, each `{ method, url, asked, status, headers, body }`. Used by recorded.mjs and its like. The packages are those
// that tests/github/recordings lays below the directory of this file.

import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const here = (path) => new URL(path, import.meta.url);
const json = (path) => JSON.parse(readFileSync(path));
const names = (folder, end) => readdirSync(folder).filter((name) => name.endsWith(end)).sort();
const small = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));

/// A body as betamax has it: older cassettes hold a text.
const betamax = (body) => (body?.base64_string ? Buffer.from(body.base64_string, "base64") : Buffer.from(body?.string ?? body ?? ""));

/// PyPI github3.py: cassettes of betamax, with the bodies as they were packed.
export function github3() {
  const folder = here("pypi/github3/tests/cassettes/");
  return names(folder, ".json").map((name) => ({
    name: `github3.py/${name}`,
    replies: json(new URL(name, folder)).http_interactions.map(({ request, response }) => ({
      method: request.method,
      url: new URL(request.uri),
      asked: betamax(request.body).toString(),
      status: response.status?.code ?? response.status_code,
      headers: small(response.headers),
      body: betamax(response.body),
    })),
  }));
}

/// A text as Python writes it.
const PYTHON = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g;

/// PyPI PyGithub: a line each for scheme, method, host, port, path, headers, body, status, headers and what came.
export function pygithub() {
  const folder = here("pypi/pygithub/tests/ReplayData/");
  return names(folder, ".txt").map((name) => {
    const lines = readFileSync(new URL(name, folder), "utf8").split("\n");
    const replies = [];
    for (let at = 0; at + 9 < lines.length; ) {
      if (!lines[at]) {
        at += 1;
        continue;
      }
      const [scheme, method, host, port, path, , asked, status, headers] = lines.slice(at, at + 9);
      const end = Math.max(lines.indexOf("", at + 10), at + 10);
      const words = [...headers.matchAll(PYTHON)].map(([, one, other]) => one ?? other);
      const pairs = words.flatMap((word, index) => (index % 2 ? [] : [[word, words[index + 1]]]));
      replies.push({
        method,
        url: new URL(path, `${scheme}://${host}${port === "None" ? "" : `:${port}`}`),
        asked,
        status: Number(status),
        headers: small(Object.fromEntries(pairs)),
        body: Buffer.from(lines.slice(at + 9, end).join("\n")),
      });
      at = end + 1;
    }
    return { name: `PyGithub/${name}`, replies };
  });
}

/// npm @octokit/fixtures: recordings with changed names and numbers.
export function fixtures() {
  const folder = here("node_modules/@octokit/fixtures/scenarios/api.github.com/");
  return readdirSync(folder).sort().map((name) => ({
    name: `fixtures/${name}`,
    replies: json(new URL(`${name}/normalized-fixture.json`, folder)).map((one) => ({
      method: one.method.toUpperCase(),
      url: new URL(one.scope + one.path),
      asked: typeof one.body === "string" ? one.body : JSON.stringify(one.body),
      status: one.status,
      headers: small(one.headers),
      body: Buffer.from(typeof one.response === "string" ? one.response : JSON.stringify(one.response)),
    })),
  }));
}

/// The crate octocrab: bodies alone, which its tests give out under such a path of the API.
export function octocrab(name, path) {
  const url = new URL(path, "https://api.github.com");
  const body = readFileSync(here(`octocrab/tests/resources/${name}.json`));
  return { name: `octocrab/${name}`, replies: [{ method: "GET", url, asked: "", status: 200, headers: {}, body }] };
}

/// The names of all that octocrab has.
export const octocrabNames = () => names(here("octocrab/tests/resources/"), ".json").map((name) => name.slice(0, -5));

/// npm @octokit/webhooks-examples: `{ event, payload }` of github.com, and those of GitHub Enterprise Server.
export function deliveries() {
  const folder = here("node_modules/@octokit/webhooks-examples/");
  const hosts = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isDirectory()).map((one) => one.name).sort();
  const of = (host) => json(new URL(`${host}/index.json`, folder));
  return hosts.flatMap((host) => of(host).flatMap(({ name, examples }) => examples.map((payload) => ({ host, event: name, payload }))));
}

/// Whether the bytes are packed, as the headers of some say of what is not.
export const isPacked = ({ headers, body }) => headers["content-encoding"] === "gzip" && body[0] === 0x1f && body[1] === 0x8b;

/// The body of a reply, which must be JSON.
export const parse = (reply) => JSON.parse(isPacked(reply) ? gunzipSync(reply.body) : reply.body);
