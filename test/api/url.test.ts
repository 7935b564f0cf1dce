/** Targets that name one key, targets that name none or two, and a round trip of any key through path and query. */
import test from "ava";
import fc from "fast-check";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { once } from "node:events";
import { parseTarget, targetBytesMax } from "../../lib/api/url.ts";

function read(target: string): unknown {
  const parsed = parseTarget(target);
  return parsed.ok ? [parsed.segments, Object.fromEntries(parsed.query)] : `${parsed.status} ${parsed.problem}`;
}

const accepted: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>])[] = [
  ["/", [], {}],
  ["/?", [], {}],
  ["/ping", ["ping"], {}],
  ["/store/key?key=hello", ["store", "key"], { key: "hello" }],
  ["/a/", ["a", ""], {}],
  ["//a", ["", "a"], {}],
  ["//", ["", ""], {}],
  ["/k/a%2Fb/c", ["k", "a/b", "c"], {}],
  ["/k/a%2fb", ["k", "a/b"], {}],
  ["/k/../x", ["k", "..", "x"], {}],
  ["/k/%2e%2E/x", ["k", "..", "x"], {}],
  ["/k/./x", ["k", ".", "x"], {}],
  ["/k/%25ff", ["k", "%ff"], {}],
  ["/k/%252F", ["k", "%2F"], {}],
  ["/k/a+b%20c", ["k", "a+b c"], {}],
  ["/k/%C3%A9%F0%9F%98%80", ["k", "é😀"], {}],
  ["/k/%EF%BB%BF", ["k", "\ufeff"], {}],
  ["/k/a\\b;c=d&e:@|{}", ["k", "a\\b;c=d&e:@|{}"], {}],
  ["/k/%3F%23", ["k", "?#"], {}],
  ["/s?a=1&b=&c&&d=x=y&e=%26%3D", ["s"], { a: "1", b: "", c: "", d: "x=y", e: "&=" }],
  ["/s?a=1+2%2B3", ["s"], { a: "1 2+3" }],
  ["/s?a=b?c/d", ["s"], { a: "b?c/d" }],
  ["/s?A=1&a=2", ["s"], { A: "1", a: "2" }],
  ["http://localhost:8001/store/a?x=1", ["store", "a"], { x: "1" }],
  ["HTTPS://localhost", [], {}],
  ["http://localhost?x=1", [], { x: "1" }],
  ["http://localhost//a", ["", "a"], {}],
];

for (const [target, segments, query] of accepted) {
  test(`takes ${target}`, (t) => t.deepEqual(read(target), [segments, query]));
}

const refused = [
  ["/k/%ff", "400 the path is not valid UTF-8"],
  ["/k/%c3", "400 the path is not valid UTF-8"],
  ["/k/%c3/%a9", "400 the path is not valid UTF-8"],
  ["/k/%c0%af", "400 the path is not valid UTF-8"],
  ["/k/%ed%a0%80", "400 the path is not valid UTF-8"],
  ["/k/%f4%90%80%80", "400 the path is not valid UTF-8"],
  ["/k/%", '400 bad percent escape "%" in the path'],
  ["/k/%2", '400 bad percent escape "%2" in the path'],
  ["/k/%zz", '400 bad percent escape "%zz" in the path'],
  ["/k/%u0041", '400 bad percent escape "%u0" in the path'],
  ["/k/%20%2g", '400 bad percent escape "%2g" in the path'],
  ["/k/%00", '400 control character "\\u0000" in the path'],
  ["/k/a%0Ab", '400 control character "\\n" in the path'],
  ["/k/%7f", '400 control character "\u007f" in the path'],
  ["/k?a=%1b", '400 control character "\\u001b" in query parameter "a"'],
  ["/k?a=%ff", '400 query parameter "a" is not valid UTF-8'],
  ["/k?a=%", '400 bad percent escape "%" in query parameter "a"'],
  ["/k?%ff=1", "400 the query is not valid UTF-8"],
  ["/k?key=1&key=2", '400 query parameter "key" is given twice'],
  ["/k?key=1&k%65y=1", '400 query parameter "key" is given twice'],
  ["/k?__proto__=1&__proto__=2", '400 query parameter "__proto__" is given twice'],
  ["/k/a b", '400 the URL holds " ", which must be a percent escape'],
  ["/k/a\u0000", '400 the URL holds "\\u0000", which must be a percent escape'],
  ["/k/\u00c3\u00a9", '400 the URL holds "Ã", which must be a percent escape'],
  ["/k?a=\u00e9", '400 the URL holds "é", which must be a percent escape'],
  ["/k#a", '400 the URL holds "#", which must be a percent escape'],
  ["", '400 the URL must start with "/"'],
  ["*", '400 the URL must start with "/"'],
  ["k", '400 the URL must start with "/"'],
  ["?a=1", '400 the URL must start with "/"'],
  ["http://", '400 the URL must start with "/"'],
  ["ftp://localhost/a", '400 the URL must start with "/"'],
] as const;

for (const [index, [target, problem]] of refused.entries()) {
  test(`refuses target ${index}: ${target}`, (t) => t.is(read(target), problem));
}

test("the length is limited, also when an escape would make the text shorter", (t) => {
  const long = (bytes: number): string => `/${"%41".repeat(bytes)}`.slice(0, bytes);
  t.is(read(long(targetBytesMax + 1)), "414 the URL is longer than 8192 bytes");
  t.deepEqual(read(`/${"a".repeat(targetBytesMax - 1)}`), [["a".repeat(targetBytesMax - 1)], {}]);
  t.deepEqual(read(`/k/${"%C3%A9".repeat(512)}`), [["k", "é".repeat(512)], {}]);
});

test("any printable key comes back from a segment, from the query, and from URLSearchParams", (t) => {
  const text = fc.string({ unit: "binary", maxLength: 50 }).filter((one) => !/[\u0000-\u001f\u007f]/.test(one));
  fc.assert(
    fc.property(text, fc.array(text, { minLength: 1, maxLength: 3 }), (key, path) => {
      const target = `/k/${path.map(encodeURIComponent).join("/")}?key=${encodeURIComponent(key)}`;
      t.deepEqual(read(target), [["k", ...path], { key }]);
      t.deepEqual(read(`/k?${new URLSearchParams({ key }).toString()}`), [["k"], { key }]);
    }),
  );
});

test("a segment holds exactly the bytes that its escapes name, so that two targets are one key only if they say so", (t) => {
  const pieces = ["%", "2", "5", "e", "F", "/", ".", "%2F", "%2e", "%ff", "%c3%a9", "%25", "+", "a", "?", "&", "=", "#", "\u00e9", " "];
  let taken = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 8 }), (parts) => {
      const target = `/${parts.join("")}`;
      const parsed = parseTarget(target);
      if (!parsed.ok) return parsed.problem !== "";
      taken += 1;
      const path = target.split("?")[0] as string;
      const bytes = (raw: string): Buffer =>
        Buffer.from(
          raw.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))),
          "latin1",
        );
      const expected = path === "/" ? [] : path.slice(1).split("/").map(bytes);
      return (
        expected.length === parsed.segments.length && parsed.segments.every((one, at) => Buffer.from(one).equals(expected[at] as Buffer))
      );
    }),
    { numRuns: 3_000 },
  );
  t.true(taken > 300, `${taken} targets were taken`);
});

test("node:http hands over the target as it stood on the wire", async (t) => {
  const seen: string[] = [];
  const server = createServer((incoming, answer) => {
    seen.push(incoming.url ?? "");
    answer.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const targets = ["/k/%2e%2e/x", "/k/../x", "//a//?x=%ff&x", "http://host/a", "/a\\b"];
  const socket = connect(port, "127.0.0.1");
  for (const target of targets) socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  // Bytes over 127 it refuses by itself.
  socket.write("GET /\u00e9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "latin1");
  socket.resume();
  await once(socket, "close");
  server.close();
  t.deepEqual(seen, targets);
});
