// A GitHub that answers as GitHub once did: each scenario below an address of its own. Used by recorded.mjs, and by itself:
// node replay.mjs NAME replays a scenario of github3.py, prints its address, and ends with its input.

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { github3, isPacked, parse } from "./packages.mjs";

/// The host whose recordings are replayed.
export const API = "https://api.github.com";
/// What belongs to the connection that was recorded, not to the answer.
const OF_THE_CONNECTION = ["connection", "content-length", "date", "keep-alive", "status", "transfer-encoding"];

/// An answer to be sent: addresses of GitHub lead back to `base`.
function replayed(reply, base) {
  const headers = Object.entries(reply.headers)
    .filter(([name]) => !OF_THE_CONNECTION.includes(name) && (name !== "content-encoding" || isPacked(reply)))
    .map(([name, value]) => [name, ["location", "link"].includes(name) ? value.replaceAll(API, base) : value]);
  return Object.fromEntries(headers);
}

/// The paths that GitHub has for the same, in small letters: a repository by name and number, and a person.
function names(replies) {
  const same = [];
  for (const reply of replies) {
    let told;
    try {
      told = parse(reply);
    } catch {
      continue;
    }
    const add = (number, name) => same.push([number, name.toLowerCase()], [name.toLowerCase(), number]);
    if (told?.full_name && told.id) add(`/repositories/${told.id}`, `/repos/${told.full_name}`);
    if (told?.login && told.id) add(`/user/${told.id}`, `/users/${told.login}`);
  }
  return same;
}

/// The public numbers of the scenario's repository, to whoever counts by GraphQL: no client that was recorded did.
function counted(replies, body) {
  const { query } = JSON.parse(body);
  if (!query?.includes("stargazerCount")) return undefined;
  const repository = replies.filter(({ status }) => status === 200).map(parse).find(({ stargazers_count }) => stargazers_count);
  const { full_name, stargazers_count, private: isPrivate } = repository ?? {};
  const r0 = full_name && { nameWithOwner: full_name, stargazerCount: stargazers_count, isPrivate };
  return r0 && JSON.stringify({ data: { r0 } });
}

/// Starts it. `base(name, index)` is where the API of a scenario is, from the reply of that index on; at `/asked` stands
/// what was asked for.
export async function replay(scenarios) {
  const byName = new Map(scenarios.map(({ name, replies }) => [name, { replies, same: names(replies) }]));
  const asked = [];
  const find = ({ replies, same }, from, method, url, body) => {
    const path = url.pathname.toLowerCase();
    const alike = same.filter(([one]) => path === one || path.startsWith(`${one}/`));
    const paths = [path, ...alike.map(([one, other]) => path.replace(one, other))];
    const page = (one) => one.searchParams.get("page") ?? "1";
    const isAsked = (reply) => method === "GET" || isDeepStrictEqual(JSON.parse(reply.asked), JSON.parse(body));
    const fits = (reply) => reply.method === method && reply.url.origin === API && paths.includes(reply.url.pathname.toLowerCase())
      && page(reply.url) === page(url) && isAsked(reply);
    return replies.slice(from).find(fits) ?? replies.find(fits);
  };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    if (request.url === "/asked") return response.end(JSON.stringify(asked));
    const [, kind, name, from, rest] = /^\/([^/]+)\/([^/]+)\/(\d+)(\/.*)$/.exec(request.url) ?? [];
    const scenario = byName.get(`${kind}/${decodeURIComponent(name ?? "")}`);
    const url = new URL(rest ?? "/", API);
    const reply = scenario && find(scenario, Number(from), request.method, url, Buffer.concat(parts));
    const counts = scenario && !reply && url.pathname === "/graphql" && counted(scenario.replies, Buffer.concat(parts));
    if (counts) return response.end(counts);
    const one = { path: rest, accept: request.headers.accept, status: reply?.status ?? 404 };
    asked.push(one);
    if (!reply) return response.writeHead(404).end('{"message":"Not recorded"}');
    const headers = replayed(reply, self.base(`${kind}/${decodeURIComponent(name)}`, from));
    if (reply.status === 200 && reply.headers.etag && request.headers["if-none-match"] === reply.headers.etag) one.status = 304;
    response.writeHead(one.status, headers).end(one.status === 304 ? undefined : reply.body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self = {
    base(name, index = 0) {
      const [kind, of] = name.split("/");
      return `http://127.0.0.1:${server.address().port}/${kind}/${encodeURIComponent(of)}/${index}`;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return self;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const name = `github3.py/${process.argv[2]}`;
  const self = await replay(github3().filter((scenario) => scenario.name === name));
  console.log(self.base(name));
  process.stdin.on("end", () => self.close()).resume();
}
