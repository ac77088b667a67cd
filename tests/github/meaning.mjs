// What a public event or a webhook delivery tells, worked out from GitHub's documentation and without the program: who starred what,
// and who wrote what where. Used by recorded.mjs and recorded_server.mjs.

/// Where the text is, and what kind of place that is, by the event's names in the timeline and in deliveries.
const PLACES = {
  IssuesEvent: ["issue", "issues"],
  issues: ["issue", "issues"],
  IssueCommentEvent: ["comment", "issues"],
  issue_comment: ["comment", "issues"],
  CommitCommentEvent: ["comment", "code"],
  commit_comment: ["comment", "code"],
  PullRequestEvent: ["pull_request", "prs"],
  pull_request: ["pull_request", "prs"],
  PullRequestReviewEvent: ["review", "prs"],
  pull_request_review: ["review", "prs"],
  PullRequestReviewCommentEvent: ["comment", "prs"],
  pull_request_review_comment: ["comment", "prs"],
  DiscussionEvent: ["discussion", "discussions"],
  discussion: ["discussion", "discussions"],
  DiscussionCommentEvent: ["comment", "discussions"],
  discussion_comment: ["comment", "discussions"],
};
const NEWS = ["opened", "created", "submitted", "edited", "updated", undefined];

/// A moment as the program writes it.
export const moment = (text) => new Date(text).toISOString().replace(".000Z", "Z");

/// What kind of account it is.
export function kindOf({ login, type }) {
  if (type === "Organization") return "Organization";
  return (type === undefined || type === "User") && !login.endsWith("[bot]") ? "User" : "Bot";
}

export const text = ({ title, body }) => [title, body].filter(Boolean).join("\n");

/// What is told: `[act, repository, number of the person, login, kind, when]`, `bare` if a pull request's text is not there,
/// `broken` if a text has no page, as comments of 2012 had none, and none if nothing. `actor` did it, in `repo`, at `at`.
export function meaning(name, payload, actor, repo, at) {
  if (["WatchEvent", "watch", "star"].includes(name)) {
    const act = { started: "starred", created: "starred", deleted: "unstarred" }[payload.action];
    return act && [act, repo, actor.id, actor.login, kindOf(actor), moment(at)];
  }
  const [key, place] = PLACES[name] ?? [];
  if (!key || !NEWS.includes(payload.action)) return undefined;
  const item = payload[key];
  if (!text(item)) return ["PullRequestEvent"].includes(name) && ["opened", "edited"].includes(payload.action) ? "bare" : undefined;
  if (!item.user) return undefined;
  if (!item.html_url) return "broken";
  const target = name.toLowerCase().startsWith("issue") && payload.issue?.pull_request && key === "comment" ? "prs" : place;
  const when = moment(item.created_at ?? item.submitted_at ?? at);
  return [[target, text(item), item.html_url], repo, item.user.id, item.user.login, kindOf(item.user), when];
}
