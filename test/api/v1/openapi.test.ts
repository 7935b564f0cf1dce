/** The document and its page: they say what the node does, and need nothing from elsewhere. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import test from "ava";
import type { OpenApi } from "../../../lib/api/v1/openapi.ts";
import { PROBLEM_KINDS } from "../../../lib/api/v1/problem.ts";
import { send } from "../../support/http.ts";
import { startTestNode } from "../../support/nodes.ts";

const run = promisify(execFile);

test("the document: OpenAPI 3.1, every reference leads somewhere, and every parameter it names is taken", async (t) => {
  const { url } = await startTestNode(t);
  const { json, text } = await send(url, "GET", "/openapi.json");
  const document = json as OpenApi;
  t.is(document.openapi, "3.1.0");
  t.deepEqual(Object.keys(document.paths), [
    "/v1/kv/{key}",
    "/v1/kv/{key}/touch",
    "/v1/kv",
    "/v1/batch",
    "/v1/kv/{key}/increment",
    "/v1/conflicts",
    "/v1/why/{key}",
    "/v1/watch",
    "/openapi.json",
    "/docs",
  ]);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) t.truthy(document.components.schemas[name!], name);
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  t.is(new Set(ids).size, ids.length);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { parameters, responses }] of Object.entries(methods)) {
      t.truthy(responses["default"]);
      const needed = parameters.filter(({ required }) => required).map(({ name }) => name);
      for (const parameter of parameters) {
        t.regex(parameter.description ?? "", /\w/, `${method} ${path} ${parameter.name}`);
        if (parameter.in !== "query") continue;
        const wrong = await send(
          url,
          method.toUpperCase(),
          `${path.replace("{key}", "k")}?${parameter.name}=${encodeURIComponent("\u{1f642}")}&nobody=1`,
        );
        t.not(wrong.json.field, undefined);
        t.true(["nobody", parameter.name, ...needed].includes(wrong.json.field), wrong.text);
        t.false(wrong.text.includes(`"\\"${parameter.name}\\" is not known here"`), wrong.text);
      }
    }
  }
});

test("the examples do what they say, as they are typed", async (t) => {
  const { url, port } = await startTestNode(t);
  const document = (await send(url, "GET", "/openapi.json")).json as OpenApi;
  const examples = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((route) => route["x-example"]));
  await send(url, "PUT", "/v1/kv/hello", { body: "1" });
  for (const example of examples) {
    const line = example.replaceAll("localhost:8001", `localhost:${port}`).replace("curl ", "curl -s -m 1 -o /dev/null -w '%{http_code}' ");
    const { stdout } = await run("sh", ["-c", `${line} || true`]);
    t.is(stdout, example.includes("/touch") ? "404" : "200", example);
  }
});

test("the page: every route and every kind of problem, no script, nothing from elsewhere", async (t) => {
  const { url } = await startTestNode(t);
  const { headers, text, status } = await send(url, "GET", "/docs");
  t.is(status, 200);
  const style = /<style>([\s\S]*?)<\/style>/.exec(text)![1]!;
  const policy = headers["content-security-policy"] as string;
  t.true(policy.startsWith("default-src 'none'; style-src 'sha256-"));
  t.true(policy.includes(createHash("sha256").update(style).digest("base64")));
  t.notRegex(text, /<script|<link|<img|\son\w+=|style=|https?:/i);
  for (const kind of Object.keys(PROBLEM_KINDS)) t.true(text.includes(`id="${kind}"`), kind);
  const ids = new Set(Array.from(text.matchAll(/\sid="([^"]+)"/g), ([, id]) => id));
  for (const [, id] of text.matchAll(/href="#([^"]+)"/g)) t.true(ids.has(id), id);
});
