/** What comes in, over real sockets: every limit at its edge, on both sides of it, and every odd key as an ordinary key or a clear 400. */
import test from "ava";
import { send, sendRaw } from "../support/http.ts";
import { pause, startTestNode } from "../support/nodes.ts";

const MIB = 1024 * 1024;

test("a value has the bytes that it may have, and no byte more: 1 MiB unless told otherwise", async (t) => {
  const pair = (bytes: number, filler = "x"): string => `{"key":"k","value":"${filler.repeat((bytes - 2) / Buffer.byteLength(filler))}"}`;
  const plain = await startTestNode(t);
  t.is((await send(plain.url, "POST", "/store", { body: pair(MIB) })).status, 200);
  t.is((await send(plain.url, "POST", "/store", { body: pair(MIB, "é") })).status, 200, "bytes, not characters");
  const refused = await send(plain.url, "POST", "/store", { body: pair(MIB + 2, "é") });
  t.is(refused.status, 413);
  t.regex(refused.json.error, /"value" has 1048578 bytes; 1048576 are the most here/);
  const small = await startTestNode(t, { valueBytesMax: 10 });
  t.is((await send(small.url, "POST", "/store", { body: pair(10) })).status, 200);
  for (const path of ["/store", "/replicate"]) t.is((await send(small.url, "POST", path, { body: pair(11) })).status, 413, path);
  const array = `[{"key":"a","value":1},${pair(11)}]`;
  t.is((await send(small.url, "POST", "/store", { body: array })).status, 413);
  t.is((await send(small.url, "GET", "/store/key?key=a")).status, 404, "nothing of an array is stored when one pair is refused");
  await t.throwsAsync(small.kv.write([{ key: "k", value: Buffer.from('"012345678"') }]), { message: /11 bytes; 10 are the most/ });
});

test("a key has 1 to 1,024 bytes, in a body and in a URL", async (t) => {
  const { url } = await startTestNode(t);
  for (const key of ["x", "x".repeat(1024), "é".repeat(512)]) {
    t.is((await send(url, "POST", "/store", { body: JSON.stringify({ key, value: 1 }) })).status, 200);
    t.is((await send(url, "GET", `/store/key?key=${encodeURIComponent(key)}`)).status, 200);
  }
  for (const key of ["x".repeat(1025), "é".repeat(513)]) {
    t.is((await send(url, "POST", "/store", { body: JSON.stringify({ key, value: 1 }) })).status, 413);
    t.is((await send(url, "GET", "/store/key", { body: JSON.stringify({ key }) })).status, 413);
    for (const method of ["GET", "DELETE"]) t.is((await send(url, method, `/store/key?key=${encodeURIComponent(key)}`)).status, 414);
  }
});

test("odd keys are ordinary keys in a body; in a URL control characters are refused", async (t) => {
  const { url } = await startTestNode(t);
  const odd = ["__proto__", "constructor", "toString", "hasOwnProperty", " ", "\u0000", "\u0001\n\u007f", "..", "/", "\u2028", "ÿ", "%00"];
  for (const key of odd) {
    t.is((await send(url, "POST", "/store", { body: JSON.stringify({ key, value: { [key]: key } }) })).status, 200, JSON.stringify(key));
  }
  for (const key of odd) {
    const inBody = await send(url, "GET", "/store/key", { body: JSON.stringify({ key }) });
    t.deepEqual(Object.entries(inBody.json.value), Object.entries(JSON.parse(JSON.stringify({ [key]: key }))));
    const inUrl = await send(url, "GET", `/store/key?key=${encodeURIComponent(key)}`);
    t.is(inUrl.status, /[\u0000-\u001f\u007f]/.test(key) ? 400 : 200, JSON.stringify(key));
  }
  const { json } = await send(url, "GET", "/store");
  t.deepEqual((json as { key: string }[]).map(({ key }) => key).sort(), [...odd].sort());
  t.is(({} as { polluted?: unknown }).polluted, undefined);
  for (const key of odd) t.is((await send(url, "DELETE", "/store/key", { body: JSON.stringify({ key }) })).status, 200);
  t.is((await send(url, "GET", "/store")).text, "[]\n");
});

test("JSON may be 64 levels deep, with no name twice and no half of a surrogate pair", async (t) => {
  const { url } = await startTestNode(t);
  const post = async (value: string): Promise<number> =>
    (await send(url, "POST", "/store", { body: `{"key":"k","value":${value}}` })).status;
  t.is(await post("[".repeat(64) + "]".repeat(64)), 200);
  t.is(await post("[".repeat(65) + "]".repeat(65)), 400);
  t.is(await post('{"a":'.repeat(65) + "1" + "}".repeat(65)), 400);
  for (const bad of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"__proto__":1,"__proto__":2}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "01",
    "NaN",
  ]) {
    t.is(await post(bad), 400, bad);
  }
});

const BODIES: readonly (readonly [what: string, bytes: Uint8Array, error: RegExp])[] = [
  ["half of a character", Buffer.concat([Buffer.from('{"key":"'), Buffer.from([0xc3]), Buffer.from('","value":1}')]), /not valid UTF-8/],
  ["an overlong slash", Buffer.concat([Buffer.from('{"key":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]), /not valid UTF-8/],
  ["a surrogate in UTF-8", Buffer.concat([Buffer.from('{"key":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]), /not valid UTF-8/],
  ["a byte order mark", Buffer.from('\ufeff{"key":"k","value":1}'), /byte order mark/],
  ["UTF-16", Buffer.from('{"key":"k","value":1}', "utf16le"), /./],
];

for (const [what, body, error] of BODIES) {
  test(`a body that is not strict UTF-8 is refused, also of GET and DELETE: ${what}`, async (t) => {
    const { url } = await startTestNode(t);
    for (const [method, path] of [
      ["POST", "/store"],
      ["POST", "/replicate"],
      ["GET", "/store/key"],
      ["DELETE", "/store/key"],
    ] as const) {
      // prettier-ignore
      const answer = await send(url, method, path, { body });
      t.is(answer.status, 400, `${method} ${path}`);
      t.regex(answer.json.error, error);
    }
    t.is((await send(url, "GET", "/store")).text, "[]\n");
  });
}

test("a body in another charset or coding is 415", async (t) => {
  const { url } = await startTestNode(t);
  const body = '{"key":"k","value":1}';
  const post = (headers: Record<string, string>) => send(url, "POST", "/store", { body, headers });
  for (const type of ["application/json; charset=utf-16", 'text/plain;charset="iso-8859-1"']) {
    const answer = await post({ "content-type": type });
    t.is(answer.status, 415);
    t.regex(answer.json.error, /charset/);
  }
  for (const coding of ["gzip", "br", "deflate", "identity, gzip"]) t.is((await post({ "content-encoding": coding })).status, 415, coding);
  for (const type of ["application/json; charset=UTF-8", "text/plain; charset=utf8", "application/x-www-form-urlencoded"]) {
    t.is((await post({ "content-type": type, "content-encoding": "identity" })).status, 200, type);
  }
});

const ROUTES = [["GET", "/ping"], ["GET", "/store"], ["GET", "/store/hash"], ["GET", "/store/key"], ["GET", "/status"], ["GET", "/livez"], ["GET", "/readyz"], ["GET", "/metrics"], ["POST", "/store"], ["POST", "/replicate"], ["POST", "/peer"], ["POST", "/repair"], ["DELETE", "/store/key"], ["POST", "/key"], ["GET", "/key/k"], ["DELETE", "/key/k"], ["GET", "/v1/kv"], ["GET", "/v1/kv/k"], ["PUT", "/v1/kv/k"], ["POST", "/v1/batch"], ["GET", "/none"]] as const; // prettier-ignore

const URLS: readonly (readonly [what: string, query: string, status: number])[] = [
  ["a byte that is no UTF-8", "?key=%ff", 400],
  ["half an escape", "?key=%2", 400],
  ["an escaped NUL", "?key=%00", 400],
  ["a parameter twice", "?key=a&key=b", 400],
  ["a raw character beyond ASCII", "?key=\xff", 400],
  ["8 KiB and more", `?key=${"x".repeat(8 * 1024)}`, 414],
];

for (const [what, query, status] of URLS) {
  test(`a URL that is not one thing is refused on every route: ${what}`, async (t) => {
    const { url } = await startTestNode(t);
    for (const [method, path] of ROUTES) {
      const { text } = await sendRaw(
        url,
        `${method} ${path}${query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
      t.regex(text, new RegExp(`^HTTP/1\\.1 ${status} `), `${method} ${path}`);
      t.regex(text, /"(error|message|detail)":"/);
    }
  });
}

test("the absolute form of a URL, as clients of a proxy send it, leads to the same routes", async (t) => {
  const { url } = await startTestNode(t);
  await send(url, "POST", "/store", { body: '{"key":"k","value":1}' });
  for (const target of ["http://a/store/key?key=k", "https://a:1/store/key?key=k"]) {
    const { text } = await sendRaw(url, `GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    t.regex(text, /\{"value":1\}$/, target);
  }
  const { text } = await sendRaw(url, "OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
  t.regex(text, /^HTTP\/1\.1 40[04] /);
});

test("headers that are too large are 431, a URL that is too large for them 414, and what is no HTTP 400: each with a reason", async (t) => {
  const { url } = await startTestNode(t);
  const answerTo = async (head: string): Promise<string> => (await sendRaw(url, head)).text;
  const error = /connection: close\r\n\r\n\{"error":"[^"]+"\}$/;
  const cookie = await answerTo(`GET /ping HTTP/1.1\r\nhost: localhost\r\ncookie: ${"x".repeat(20_000)}\r\n\r\n`);
  t.regex(cookie, /^HTTP\/1\.1 431 /);
  t.regex(cookie, error);
  const many = await answerTo(`GET /ping HTTP/1.1\r\nhost: localhost\r\n${"x-header: value\r\n".repeat(2_000)}\r\n`);
  t.regex(many, /^HTTP\/1\.1 431 /);
  const long = await answerTo(`GET /store/key?key=${"x".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  t.regex(long, /^HTTP\/1\.1 414 /);
  t.regex(long, error);
  const broken = await answerTo("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
  t.regex(broken, /^HTTP\/1\.1 400 /);
  t.regex(broken, error);
  const smuggled = await answerTo(
    "POST /store HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  );
  t.regex(smuggled, /^HTTP\/1\.1 400 /);
  const { json } = await send(url, "GET", "/status");
  t.deepEqual(json.refused.requests, { "headers-too-large": 2, "url-too-long": 1, malformed: 2 });
});

test("a body of a GET that nobody reads does no harm: too large, or in chunks, the answer comes and the connection is not kept", async (t) => {
  const { url } = await startTestNode(t);
  t.is((await send(url, "GET", "/ping", { body: "x".repeat(100_000) })).text, '{"message":"pong"}');
  t.is((await send(url, "GET", "/store/hash", { body: "{" })).status, 200);
  const { text } = await sendRaw(url, "GET /ping HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\nxxxx");
  t.regex(text, /^HTTP\/1\.1 200 /);
});

test("what is broken behind a whole request does not become that one's answer", async (t) => {
  const { url, kv } = await startTestNode(t);
  const body = '{"key":"k","value":1}';
  const whole = `POST /store HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  for (const garbage of ["4\r\n{}\r\n", "GET /store/key?key=k HTTP/1.1\r\nBad Header\r\n\r\n"]) {
    const { text } = await sendRaw(url, whole + garbage);
    t.regex(text, /^HTTP\/1\.1 200 OK\r\n[^]*"stored":true/);
    t.is(text.match(/HTTP\/1\.1/g)!.length, 1, text);
  }
  // The body itself is broken: it was no whole request, and nothing is written.
  const chunked = "POST /store HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  t.regex((await sendRaw(url, `${chunked}5\r\n{"key\r\nzz\r\n`)).text, /^HTTP\/1\.1 400 /);
  await pause(20);
  t.is(kv.list({ prefix: "", limit: 10 }).entries.length, 1);
});

test("an encoding of the transfer that is not chunked is refused, an empty one too: what follows is not another request", async (t) => {
  const { url, kv } = await startTestNode(t);
  for (const encoding of ["", " ", "gzip, chunked"]) {
    const head = `POST /v1/kv/n/increment HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: ${encoding}\r\n\r\n`;
    const { text } = await sendRaw(url, `${head}8\r\n{"by":7}\r\n0\r\n\r\n`);
    t.regex(text, /^HTTP\/1\.1 400 /, JSON.stringify(encoding));
    t.is(text.match(/HTTP\/1\.1/g)!.length, 1, text);
  }
  t.is(kv.get("n"), undefined);
});
