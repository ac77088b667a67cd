// Drives a live server with the client that is generated from its contract: list, page to the end, create, delete, errors.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

const baseUrl = process.env.GITLEADS_URL!;
// JSON alone: lists may also be asked for as files and streams.
const client = createClient<paths, "application/json">({
  baseUrl,
  headers: { authorization: `Bearer ${process.env.GITLEADS_KEY}` },
});
const leads = Number(process.env.GITLEADS_LEADS);

async function everyLead(): Promise<components["schemas"]["Lead"][]> {
  const all: components["schemas"]["Lead"][] = [];
  let cursor: string | undefined;
  do {
    const { data, error } = await client.GET("/v1/leads", { params: { query: { limit: 7, cursor } } });
    assert.ok(data, JSON.stringify(error));
    all.push(...data.data);
    cursor = data.next_cursor ?? undefined;
    assert.equal(data.has_more, cursor !== undefined);
  } while (cursor);
  return all;
}

const all = await everyLead();
assert.equal(new Set(all.map((lead) => lead.id)).size, leads);
const first = all[0]!;
const one = await client.GET("/v1/leads/{id}", { params: { path: { id: first.id } } });
assert.equal(one.data?.github_username, first.github_username);

const created = await client.POST("/v1/tracked-repos", { body: { full_name: "acme-corp/typed-sdk", type: "competitor" } });
assert.equal(created.response.status, 201);
const again = await client.POST("/v1/tracked-repos", { body: { full_name: "Acme-Corp/Typed-SDK" } });
assert.equal(again.response.status, 200);
assert.equal(again.data?.id, created.data?.id);
const path = { id: created.data!.id };
assert.equal((await client.DELETE("/v1/tracked-repos/{id}", { params: { path } })).response.status, 204);
const gone = await client.DELETE("/v1/tracked-repos/{id}", { params: { path } });
assert.equal(gone.response.status, 404);
assert.equal(gone.error?.error, "not_found");

const wrong = await client.GET("/v1/leads", { params: { query: { limit: 1000 } } });
assert.equal(wrong.response.status, 400);
assert.match(wrong.error!.message, /^limit: /);
const stranger = createClient<paths, "application/json">({ baseUrl });
const unknown = await stranger.GET("/v1/leads");
assert.deepEqual(unknown.error, { error: "unauthorized", message: "Invalid or missing API key" });
console.log(`TypeScript client: ${all.length} leads, all as expected`);
