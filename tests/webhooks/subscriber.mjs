// A subscriber of a live server: a receiver on loopback, calls of the API, and people who do something on GitHub. Used by
// deliveries.mjs and zapier.mjs.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const { GITLEADS_URL: base, GITLEADS_KEY: key, PROGRAM: program, DATA: data } = process.env;
const AT_MOST = 60_000;

/// The repositories that the server tracks.
export const REPOS = ["acme-corp/rival-sdk", "acme-corp/other-sdk"];

/// Waits until `look` gives something.
export async function eventually(what, look) {
  for (const until = Date.now() + AT_MOST; Date.now() < until; await sleep(50)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`never came true: ${what}`);
}

/// Keeps every request as it came, and answers what `answer` says of it.
export async function receiver() {
  const self = { heard: [], answer: () => 200 };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const raw = Buffer.concat(parts);
    const one = { path: request.url, headers: request.headers, raw, body: JSON.parse(raw) };
    one.status = self.answer(one);
    self.heard.push(one);
    response.writeHead(one.status).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  self.url = (path) => `http://127.0.0.1:${server.address().port}${path}`;
  self.hears = (what, fits) => eventually(what, () => self.heard.find(fits));
  self.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return self;
}

/// A call that must answer `status`; its body.
export async function call(method, path, status, body) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

let number = 2_489_368_000;

/// The person, `[id, login]`, stars the repository, as an archive tells it.
export async function star([id, login], repo) {
  const line = {
    id: String(number++),
    type: "WatchEvent",
    actor: { id, login },
    repo: { id: 1, name: repo },
    payload: { action: "started" },
    public: true,
    created_at: "2026-01-01T00:00:00Z",
  };
  const child = spawn(program, ["--data-dir", data, "backfill", "-"], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(`${JSON.stringify(line)}\n`);
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`backfill ended with ${code}`);
}

/// The id of the lead that the person is.
export async function leadOf([, login]) {
  return eventually(`${login} is shown`, async () => {
    const { data: leads } = await call("GET", "/v1/leads?limit=100", 200);
    return leads.find((lead) => lead.github_username === login)?.id;
  });
}
