/**
 * A request target, decoded once and strictly.
 *
 * The URL classes of the platform repair what they are given: `%ff` becomes the same text as `%25ff`, `/k/%2e%2e/x` becomes
 * `/x`, and of two equal parameters one is dropped in silence. In a store whose paths name keys, each of these reads or
 * overwrites another key than the one asked for. So the raw target is split first and decoded after, and what does not name
 * exactly one thing is refused. Segments are names, not folders: `..` is a name like any other, and nothing is normalised.
 */

/** The longest key (1,024 bytes) takes 3,072 when every byte is an escape; twice that and more stays for the rest. */
export const targetBytesMax = 8 * 1024;

export interface Target {
  readonly ok: true;
  /** Decoded: a segment may hold a `/`, sent as `%2F`. The target `/` has no segment; `/a/` has two, the second empty. */
  readonly segments: readonly string[];
  readonly query: ReadonlyMap<string, string>;
}
export interface TargetRefusal {
  readonly ok: false;
  readonly status: 400 | 414;
  /** A sentence for a person. */
  readonly problem: string;
}

/** Takes `incoming.url` of node:http: the target as it stood on the wire, one character a byte. */
export function parseTarget(target: string): Target | TargetRefusal {
  if (target.length > targetBytesMax) return { ok: false, status: 414, problem: `the URL is longer than ${targetBytesMax} bytes` };
  const unescaped = /[\u0000-\u0020\u007f-\uffff#]/.exec(target);
  if (unescaped !== null) return refuse(`the URL holds ${JSON.stringify(unescaped[0])}, which must be a percent escape`);
  const [path, queryText] = cutAt(withoutHost(target), "?");
  if (!path.startsWith("/")) return refuse('the URL must start with "/"');
  const segments: string[] = [];
  for (const raw of path === "/" ? [] : path.slice(1).split("/")) {
    const segment = decode(raw, "the path");
    if (typeof segment !== "string") return segment;
    segments.push(segment);
  }
  const query = parseQuery(queryText);
  return query instanceof Map ? { ok: true, segments, query } : query;
}

/** A client of a proxy sends the absolute form, which every server has to take. Its host adds nothing here. */
export function withoutHost(target: string): string {
  return target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]+\/?/i, "/");
}

/** As forms and URLSearchParams write it: `+` is a space here, though not in the path. */
function parseQuery(text: string): Map<string, string> | TargetRefusal {
  const query = new Map<string, string>();
  for (const parameter of text.split("&")) {
    if (parameter === "") continue;
    const [rawName, rawValue] = cutAt(parameter.replaceAll("+", "%20"), "=");
    const name = decode(rawName, "the query");
    if (typeof name !== "string") return name;
    const quoted = `query parameter ${JSON.stringify(name)}`;
    if (query.has(name)) return refuse(`${quoted} is given twice`);
    const value = decode(rawValue, quoted);
    if (typeof value !== "string") return value;
    query.set(name, value);
  }
  return query;
}

function decode(raw: string, where: string): string | TargetRefusal {
  if (!raw.includes("%")) return raw;
  const broken = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(raw);
  if (broken !== null) return refuse(`bad percent escape ${JSON.stringify(broken[0])} in ${where}`);
  let text: string;
  try {
    text = decodeURIComponent(raw);
  } catch {
    return refuse(`${where} is not valid UTF-8`);
  }
  // Nobody means them, and in a log or a terminal they pretend to be something else.
  const control = /[\u0000-\u001f\u007f]/.exec(text);
  return control === null ? text : refuse(`control character ${JSON.stringify(control[0])} in ${where}`);
}

/** The text before and after the first `separator`. */
function cutAt(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function refuse(problem: string): TargetRefusal {
  return { ok: false, status: 400, problem };
}
