// A Zapier app for GitLeads, as `zapier push` takes it: an instant trigger that subscribes by POST /v1/webhooks and leaves by
// DELETE. tests/webhooks/run drives it against a live server.

const { version: platformVersion } = require("zapier-platform-core");

const authorize = (request, z, bundle) => {
  request.headers.Authorization = `Bearer ${bundle.authData.api_key}`;
  return request;
};

const subscribe = async (z, bundle) => {
  const { event, repo } = bundle.inputData;
  const response = await z.request({
    method: "POST",
    url: `${bundle.authData.server}/v1/webhooks`,
    body: {
      url: bundle.targetUrl,
      events: [event ?? "lead.created"],
      filters: repo ? { repos: [repo] } : {},
      description: "A Zap",
    },
  });
  return response.data;
};

const unsubscribe = async (z, bundle) => {
  const url = `${bundle.authData.server}/v1/webhooks/${bundle.subscribeData.id}`;
  const response = await z.request({ method: "DELETE", url });
  return { status: response.status };
};

// A delivery's `data` is the lead.
const receive = async (z, bundle) => [bundle.cleanedRequest.data];

// What a Zap is set up with, newest first.
const list = async (z, bundle) => {
  const params = { limit: 3, ...(bundle.inputData.repo && { repo: bundle.inputData.repo }) };
  const response = await z.request({ url: `${bundle.authData.server}/v1/leads`, params });
  return response.data.data;
};

module.exports = {
  version: "1.0.0",
  platformVersion,
  authentication: {
    type: "custom",
    test: { url: "{{bundle.authData.server}}/v1/account" },
    connectionLabel: "{{plan}}",
    fields: [
      { key: "server", label: "Server", required: true, helpText: "Where your GitLeads answers, without a slash at the end." },
      { key: "api_key", label: "API Key", required: true, type: "password", helpText: "`gitleads keys create` makes one." },
    ],
  },
  beforeRequest: [authorize],
  triggers: {
    lead: {
      key: "lead",
      noun: "Lead",
      display: { label: "New Lead", description: "Triggers when somebody on GitHub becomes a lead, or changes as one." },
      operation: {
        type: "hook",
        inputFields: [
          { key: "event", label: "Event", choices: ["lead.created", "lead.enriched", "lead.updated", "lead.signal_added"] },
          { key: "repo", label: "Repository", helpText: "Only leads of this one, such as `acme-corp/rival-sdk`." },
        ],
        performSubscribe: subscribe,
        performUnsubscribe: unsubscribe,
        perform: receive,
        performList: list,
        sample: {
          id: "lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
          signal_type: "stargazer",
          signal_source: "acme-corp/rival-sdk",
          github_username: "ada-example",
          captured_at: "2026-04-24T10:31:00Z",
        },
      },
    },
  },
};
