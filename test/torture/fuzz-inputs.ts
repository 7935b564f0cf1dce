/**
 * What a stranger may send to the HTTP port: valid requests, and what becomes of them when bytes are lost, doubled, changed and put between; bodies
 * that are well-formed and mean nothing. Everything by its seed.
 */
import fc from "fast-check";
import { encodeFrame } from "../../lib/core/frame.ts";
import { Prng } from "../../lib/sim/prng.ts";
import { anyMessage } from "../support/messages.ts";

export interface FuzzInput {
  readonly what: string;
  readonly bytes: Buffer;
  /** One request at most: what its answer says is true of all of it. */
  readonly isSingle: boolean;
}

const JSON_TYPE = "Content-Type: application/json";
const NAMES = ["__proto__", "constructor", "toString", "", "\u0000", "\u001f", "a/b", "..", "%2e", "é", "\u{1f600}", "k"];

/** The structured ones cost some milliseconds to make. */
const STRUCTURED_SHARE = 0.1;
const PIPELINED_SHARE = 0.1;

export function fuzzInput(seed: number): FuzzInput {
  const prng = new Prng(`fuzz ${seed}`);
  if (prng.chance(STRUCTURED_SHARE)) return structured(seed);
  if (prng.chance(PIPELINED_SHARE)) {
    const parts = Array.from({ length: prng.between(2, 4) }, () => (prng.chance(0.5) ? valid(prng) : mutate(valid(prng), prng)));
    return { what: "pipelined", bytes: Buffer.concat(parts), isSingle: false };
  }
  const bytes = prng.chance(0.2) ? framed(prng) : mutate(valid(prng), prng);
  return { what: "mutated", bytes, isSingle: isOneRequest(bytes.toString("latin1")) };
}

/** Whether nothing follows a request that is whole: it would be carried out, and what follows be refused. */
function isOneRequest(text: string): boolean {
  if (text.split("HTTP/1.").length > 2) return false;
  const [, head = "", rest = ""] = /^([^]*?)\r?\n\r?\n([^]*)$/.exec(text) ?? [];
  if (/transfer-encoding/i.test(head)) {
    const end = text.indexOf("0\r\n\r\n");
    return end < 0 || end + 5 === text.length;
  }
  const length = /^content-length: *(\d+) *\r?$/im.exec(head)?.[1];
  return rest.length <= Number(length ?? 0);
}

/** A valid request of any kind. */
function valid(prng: Prng): Buffer {
  const key = `k${prng.below(5)}`;
  const value = JSON.stringify({ a: [1, 2, "x"], n: prng.below(1_000) });
  const operations = `{"operations":[{"op":"put","key":"${key}","value":${value}},{"op":"delete","key":"b","ttl":1}]}`;
  const templates: readonly (readonly [line: string, body?: string | undefined, header?: string])[] = [
    ["GET /ping"],
    ["GET /status"],
    ["GET /store"],
    [`GET /store/key?key=${key}`],
    ["GET /store/key", `{"key":"${key}"}`, JSON_TYPE],
    ["POST /store", `{"key":"${key}","value":${value}}`, JSON_TYPE],
    ["POST /store", `[{"key":"${key}","value":${value}},{"key":"b","value":1}]`, JSON_TYPE],
    [`DELETE /store/key?key=${key}`],
    ["POST /replicate", `[{"key":"${key}","value":${value}}]`, JSON_TYPE],
    [`GET /v1/kv/${key}?siblings&r=1`],
    ["GET /v1/kv?prefix=k&limit=10&values"],
    [`PUT /v1/kv/${key}?ttl=100&w=1`, "some text", "Content-Type: text/plain"],
    [`DELETE /v1/kv/${key}`, undefined, 'If-Match: "abc"'],
    [`POST /v1/kv/${key}/touch?ttl=30`],
    ["POST /v1/kv/count/increment", '{"by":1}', JSON_TYPE],
    ["POST /v1/batch", operations, JSON_TYPE],
    [`GET /v1/why/${key}`],
    ["GET /v1/conflicts?limit=2"],
    ["POST /key", `{"${key}":"value"}`, JSON_TYPE],
    [`GET /key/${key}`],
    ["GET /openapi.json"],
    ["GET /health"],
  ];
  const [line, body, header] = prng.pick(templates);
  return request(line, body, header, prng.chance(0.15));
}

function request(line: string, body: string | Buffer = "", header?: string, chunked = false): Buffer {
  const bytes = Buffer.from(body);
  const framing = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${bytes.length}`;
  const head = [`${line} HTTP/1.1`, "Host: localhost", ...(header === undefined ? [] : [header]), framing, "", ""].join("\r\n");
  if (!chunked) return Buffer.concat([Buffer.from(head), bytes]);
  const half = bytes.length >> 1;
  return Buffer.concat([Buffer.from(head), chunk(bytes.subarray(0, half)), chunk(bytes.subarray(half)), Buffer.from("0\r\n\r\n")]);
}

function chunk(bytes: Buffer): Buffer {
  return bytes.length === 0 ? bytes : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

/** Framing that says something else than what comes: sizes that lie, two of them, headers without end, names that are none. */
function framed(prng: Prng): Buffer {
  const body = '{"key":"k1","value":"framed"}';
  const length = (text: string | number): string =>
    `POST /store HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}\r\nContent-Length: ${text}\r\n\r\n${body}`;
  const chunks = (text: string): string =>
    `POST /store HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n${text}`;
  const header = (text: string): string =>
    `POST /store HTTP/1.1\r\nHost: localhost\r\n${text}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const texts = [
    length(-1),
    length("99999999999999999999"),
    length(body.length - prng.between(1, 20)),
    length(body.length + prng.between(1, 20)),
    length(`${body.length}\r\nContent-Length: ${body.length + 1}`),
    length(`${body.length}\r\nTransfer-Encoding: chunked`),
    length(`0x${body.length.toString(16)}`),
    chunks("zz\r\nabc\r\n0\r\n\r\n"),
    chunks(`ffffffffffffffff\r\n${body}`),
    chunks(`${body.length.toString(16)};ext=${"e".repeat(prng.between(1, 20_000))}\r\n${body}\r\n0\r\n\r\n`),
    chunks(`${body.length.toString(16)}\r\n${body}\r\n0\r\nTrailer: ${"t".repeat(prng.between(1, 20_000))}\r\n\r\n`),
    chunks(`${(body.length - 3).toString(16)}\r\n${body}\r\n0\r\n\r\n`),
    header(`X-Long: ${"h".repeat(prng.between(1, 40_000))}`),
    header(Array.from({ length: prng.between(1, 3_000) }, (_, i) => `X-${i}: ${i}`).join("\r\n")),
    header("Content-Encoding: gzip"),
    header("Transfer-Encoding: gzip, chunked"),
    header("Expect: 200-maybe"),
    header("Expect: 100-continue"),
    header("Upgrade: websocket\r\nConnection: Upgrade"),
    header("Host: y"),
    header("No colon here"),
    header(" Folded: 1"),
    header("Content-Type: text/\u0000plain"),
    `GET /store/key?key=${"k".repeat(prng.between(1_000, 30_000))} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    `GET /store/key?key=%ff%fe${"%zz".repeat(prng.below(3))} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    "GET http://other/ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TRACE /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /ping HTTP/9.9\r\n\r\n",
    "GET /ping HTTP/1.1\r\n\r\n",
    "GET /ping\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
  ];
  return Buffer.from(prng.pick(texts), "latin1");
}

function mutate(original: Buffer, prng: Prng): Buffer {
  let bytes = Buffer.from(original);
  for (let times = prng.between(1, 3); times > 0; times--) bytes = prng.pick(MUTATIONS)(bytes, prng);
  return bytes;
}

const PIECES = [
  "\r\n",
  "\n",
  "\r",
  "\u0000",
  "\xff\xfe",
  "\xc3",
  "\xed\xa0\x80",
  ": ",
  "%00",
  "%",
  "?",
  "&",
  '"',
  "{",
  "[",
  "\\ud800",
  "1e999",
  "\t",
];

const MUTATIONS: readonly ((bytes: Buffer, prng: Prng) => Buffer<ArrayBuffer>)[] = [
  (bytes, prng) => {
    const copy = Buffer.from(bytes);
    for (let i = prng.between(1, 5); i > 0 && copy.length > 0; i--) copy[prng.below(copy.length)] = prng.below(256);
    return copy;
  },
  (bytes, prng) => Buffer.from(bytes.subarray(0, prng.below(bytes.length + 1))),
  (bytes, prng) => splice(bytes, prng.below(bytes.length + 1), 0, Buffer.from(prng.pick(PIECES), "latin1")),
  (bytes, prng) => splice(bytes, prng.below(bytes.length + 1), prng.between(1, 12), Buffer.alloc(0)),
  (bytes, prng) => {
    const from = prng.below(bytes.length + 1);
    const piece = bytes.subarray(from, from + prng.between(1, 40));
    return splice(bytes, prng.below(bytes.length + 1), 0, piece);
  },
  (bytes, prng) =>
    Buffer.from(bytes.toString("latin1").replace(/\d+/, String(prng.pick([-1, 0, 2 ** 31, 2 ** 53, "1e9", "", "٣"]))), "latin1"),
  (bytes, prng) => Buffer.from(bytes.toString("latin1").replace(/"k\d"/, JSON.stringify(prng.pick(NAMES))), "utf8"),
];

function splice(bytes: Buffer, at: number, gone: number, piece: Buffer): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + gone)]);
}

const anyKey = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ minLength: 1_000, maxLength: 1_100 }),
);
const anyPathKey = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.string({ minLength: 1_000, maxLength: 1_100 }),
);
const anyField = fc.oneof(fc.jsonValue({ maxDepth: 3 }), anyKey);
const anyOperation = fc.record(
  {
    op: fc.oneof(fc.constantFrom("put", "delete", "touch", "increment"), anyField),
    key: fc.oneof(anyKey, anyField),
    value: anyField,
    ttl: fc.oneof(fc.double(), anyField),
    token: fc.oneof(fc.constant("AAAA"), anyField),
    encoding: fc.oneof(fc.constant("base64"), anyField),
    contentType: anyField,
    by: fc.oneof(fc.double(), anyField),
  },
  { requiredKeys: ["op", "key"] },
);
const nested = fc.nat({ max: 100 }).map((depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`);
const anyPair = fc.oneof(
  fc.record({ key: fc.oneof(anyKey, anyField), value: anyField }).map((pair) => JSON.stringify(pair)),
  nested.map((value) => `{"key":"deep","value":${value}}`),
  fc.tuple(anyKey, anyKey).map(([one, two]) => `{"key":"k","value":{${JSON.stringify(one)}:1,${JSON.stringify(two)}:2}}`),
);
const anyRequest: fc.Arbitrary<Buffer> = fc.oneof(
  anyPair.map((body) => request("POST /store", body, JSON_TYPE)),
  fc.array(anyPair, { maxLength: 5 }).map((pairs) => request("POST /replicate", `[${pairs.join(",")}]`, JSON_TYPE)),
  fc.array(anyOperation, { maxLength: 5 }).map((operations) => request("POST /v1/batch", JSON.stringify({ operations }), JSON_TYPE)),
  fc
    .tuple(anyPathKey, fc.uint8Array({ maxLength: 50 }), fc.constantFrom("ttl=1", "ttl=-1", "w=1", "token=AAAA", "x=1", ""))
    .map(([key, body, query]) => request(`PUT /v1/kv/${encodeURIComponent(key)}?${query}`, Buffer.from(body), JSON_TYPE)),
  anyMessage.map((message) => request("POST /peer", encodeFrame(message), "Content-Type: application/octet-stream")),
  fc.tuple(anyMessage, fc.nat(), fc.nat({ max: 255 })).map(([message, at, byte]) => {
    const frame = encodeFrame(message);
    frame[at % frame.length] = byte;
    return request("POST /peer", frame, "Content-Type: application/octet-stream");
  }),
);

function structured(seed: number): FuzzInput {
  const [bytes = Buffer.alloc(0)] = fc.sample(anyRequest, { numRuns: 1, seed });
  return { what: "structured", bytes, isSingle: true };
}
