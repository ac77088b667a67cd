// Validates GraphQL query texts, and the queries on the standard input, against GitHub's schema, sends each to the stand-in,
// and checks the type of every field that comes back: node graphql.mjs URL FILE… <QUERIES

import { readFileSync } from "node:fs";
import { schema as github } from "@octokit/graphql-schema";
import * as graphql from "graphql";

const [url, ...files] = process.argv.slice(2);
// GitHub's own text defines two fields twice.
const schema = graphql.buildSchema(github.idl, { assumeValidSDL: true });

/// What the texts are sent with: every variable of theirs is named here.
const values = {
  owner: "acme-corp", name: "rival-sdk", owner0: "acme-corp", name0: "former-sdk", owner1: "ada-example", name1: "loom",
  login0: "ada-example", ids: ["U_fake1001", "U_fake1002"], number: 2, first: 2, after: null, query: "hosted",
};
/// Where the same variable stands for something else.
const own = { PullRequests: { ids: ["PR_fake3000000001", "I_fake3000000000"] } };

let faults = 0;
const wrong = (file, text) => {
  faults += 1;
  console.log(`${file}: ${text}`);
};

/// Whether a value is one of its type, as far as the selection asks.
function check(file, document, type, selection, value, at) {
  if (graphql.isNonNullType(type)) {
    if (value === null || value === undefined) return wrong(file, `${at} is null`);
    return check(file, document, type.ofType, selection, value, at);
  }
  if (value === undefined) return wrong(file, `${at} is missing`);
  if (value === null) return;
  if (graphql.isListType(type)) {
    if (!Array.isArray(value)) return wrong(file, `${at} is no list`);
    return value.forEach((one, index) => check(file, document, type.ofType, selection, one, `${at}[${index}]`));
  }
  if (graphql.isLeafType(type)) {
    try {
      type.parseValue(value);
    } catch (fault) {
      wrong(file, `${at}: ${fault.message}`);
    }
    return;
  }
  let concrete = type;
  if (graphql.isAbstractType(type)) {
    concrete = schema.getType(value.__typename);
    if (!concrete) return; // Only what every such type has was asked for; the query says no more.
    if (!schema.isSubType(type, concrete)) return wrong(file, `${at} is a ${concrete}`);
  }
  fields(file, document, concrete, selection, value, at);
}

function fields(file, document, type, selection, value, at) {
  for (const one of selection.selections) {
    if (one.kind === "Field") {
      const key = one.alias?.value ?? one.name.value;
      if (one.name.value === "__typename") {
        if (value[key] !== type.name) wrong(file, `${at}.${key} is ${value[key]}`);
        continue;
      }
      const field = type.getFields()[one.name.value];
      check(file, document, field.type, one.selectionSet, value[key], `${at}.${key}`);
      continue;
    }
    const named = (it) => it.kind === "FragmentDefinition" && it.name.value === one.name.value;
    const fragment = one.kind === "InlineFragment" ? one : document.definitions.find(named);
    const on = fragment.typeCondition ? schema.getType(fragment.typeCondition.name.value) : type;
    if (on === type || (graphql.isAbstractType(on) && schema.isSubType(on, type))) {
      fields(file, document, type, fragment.selectionSet, value, at);
    }
  }
}

/// Validates one query, sends it, and checks what comes back.
async function hold(file, text, variables, name) {
  const document = graphql.parse(text);
  for (const error of graphql.validate(schema, document)) wrong(file, error.message);
  const operation = document.definitions.find((one) => one.kind === "OperationDefinition");
  const answer = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { authorization: "Bearer owner", "user-agent": "check", "content-type": "application/json" },
    body: JSON.stringify({ query: text, variables, operationName: name }),
  });
  const body = await answer.json();
  if (body.errors) wrong(file, JSON.stringify(body.errors));
  if (body.data) check(file, document, schema.getQueryType(), operation.selectionSet, body.data, name ?? "data");
  else wrong(file, `no data: ${answer.status}`);
}

for (const file of files) {
  const text = readFileSync(file, "utf8");
  const operation = graphql.parse(text).definitions.find((one) => one.kind === "OperationDefinition");
  const name = operation.name?.value;
  const given = { ...values, ...own[name] };
  const names = operation.variableDefinitions.map((one) => one.variable.name.value);
  const unnamed = names.filter((one) => !(one in given));
  if (unnamed.length > 0) wrong(file, `tests/github/graphql.mjs has no value for ${unnamed}`);
  else await hold(file, text, Object.fromEntries(names.map((one) => [one, given[one]])), name);
}

// What the product asks, from the standard input: a line of JSON each.
const asked = readFileSync(0, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
for (const { name, query, variables } of asked) await hold(`the query for ${name}`, query, variables);

console.log(`${files.length} texts and ${asked.length} queries of the product, ${faults} faults`);
process.exit(faults === 0 && files.length > 0 && asked.length > 0 ? 0 : 1);
