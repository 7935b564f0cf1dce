/**
 * GET /docs: the API on one page, made of the OpenAPI document by the node itself.
 *
 * A page without a script, so that it works offline, in a text browser and under the strictest policy. swagger-ui-dist would be twelve
 * megabytes in every installation, twenty times Concord itself, to show the same; whoever wants it gives it /openapi.json.
 */
import { createHash } from "node:crypto";
import type { DocumentedAnswer, DocumentedRoute, OpenApi } from "./openapi.ts";
import { PROBLEM_KINDS } from "./problem.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { border-top: 1px solid var(--line); padding-top: 1.5rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
code, pre { font: 0.9em ui-monospace, monospace; }
pre { background: var(--soft); padding: 0.7rem; overflow-x: auto; border-radius: 4px; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.method { display: inline-block; min-width: 4.5rem; }
details { margin: 0.3rem 0; }
`;

/** Nothing is loaded and nothing runs; the one style is named by its hash. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const DOCS_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
} as const;

export function renderDocs({ info, paths }: OpenApi): string {
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => ({ method: method.toUpperCase(), path, route })),
  );
  const list = routes.map(({ method, path, route }) => [link(route.operationId, `${method} ${path}`), text(route.summary)]);
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${text(info.title)} ${text(info.version)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${text(info.title)} ${text(info.version)}</h1><p>${text(info.description)}</p>`,
    `<p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>`,
    table(["request", "what it does"], list),
    ...routes.map(({ method, path, route }) => renderRoute(method, path, route)),
    `<h2 id="problems">Problems</h2><p>What is refused is answered as <code>application/problem+json</code>: type, title, status, detail, hint, field.</p>`,
    table(["type", "status", "title", "what to do"], Object.entries(PROBLEM_KINDS).map(problemRow)),
    "</body></html>",
  ].join("\n");
}

function problemRow([kind, { status, title, hint }]: readonly [string, { status: number; title: string; hint: string }]): string[] {
  return [`<code id="${kind}">${kind}</code>`, String(status), text(title), text(hint)];
}

function renderRoute(method: string, path: string, route: DocumentedRoute): string {
  const { parameters, requestBody, responses } = route;
  const rows = parameters.map(({ name, in: place, required, description = "", schema }) => {
    const { default: value } = schema;
    const assumed = value === undefined || value === "" ? "" : ` Default: ${JSON.stringify(value).replaceAll('"', "")}.`;
    return [`<code>${text(name)}</code>`, place, required ? "yes" : "", `${text(description)}${text(assumed)}`];
  });
  return [
    `<h2 id="${text(route.operationId)}"><span class="method">${method}</span> <code>${text(path)}</code></h2>`,
    `<p>${text(route.summary)}. ${text(route.description ?? "")}</p>`,
    `<pre>${text(route["x-example"])}</pre>`,
    rows.length === 0 ? "" : table(["parameter", "in", "needed", "meaning"], rows),
    requestBody === undefined ? "" : renderContent("The body", requestBody.content),
    table(["status", "meaning"], Object.entries(responses).map(answerRow)),
    ...Object.entries(responses).map(([status, { content }]) =>
      Number(status) < 400 ? renderContent(`The answer ${status}`, content) : "",
    ),
  ].join("\n");
}

function answerRow([status, { description, headers = {} }]: readonly [string, DocumentedAnswer]): string[] {
  const names = Object.entries(headers).map(([name, header]) => `<br><code>${text(name)}</code>: ${text(header.description ?? "")}`);
  return [text(status), `${text(description)}${names.join("")}`];
}

function renderContent(what: string, content: DocumentedAnswer["content"] = {}): string {
  return Object.entries(content)
    .filter(([, { schema }]) => Object.keys(schema).length > 0)
    .map(
      ([type, { schema }]) =>
        `<details><summary>${what}, <code>${text(type)}</code></summary><pre>${text(JSON.stringify(schema, undefined, 2))}</pre></details>`,
    )
    .join("");
}

/** Of cells that are HTML. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((cell) => `<th>${cell}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("\n");
  return `<div class="table"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function link(id: string, what: string): string {
  return `<a href="#${text(id)}"><code>${text(what)}</code></a>`;
}

function text(plain: string): string {
  return plain.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
