import test from "ava";
import { Failure } from "../../cmd/exit.ts";
import {
  isWildcard,
  readBytes,
  readCount,
  readHost,
  readId,
  readMerge,
  readNodeUrl,
  readNodeUrls,
  readPort,
  readSeconds,
} from "../../cmd/settings.ts";

test("what is right comes back in its form", (t) => {
  t.is(readPort("port", "8001", 0), 8001);
  t.is(readPort("port", "0", 0), 0);
  t.is(readCount("nodes", "3", 1, 16), 3);
  t.is(readSeconds("timeout", "15"), 15_000);
  t.deepEqual(
    ["1", "4096", "64KiB", "64kib", "1MiB", "8MiB", "10B"].map((text) => readBytes("max-value", text, 8 * 1024 * 1024)),
    [1, 4096, 65_536, 65_536, 1_048_576, 8_388_608, 10],
  );
  t.is(readNodeUrl("node", "http://localhost:8001/"), "http://localhost:8001");
  t.is(readNodeUrl("node", "HTTP://LOCALHOST:8001"), "http://localhost:8001");
  t.is(readNodeUrl("node", "https://localhost:8001"), "https://localhost:8001");
  t.deepEqual(readNodeUrls("peers", ""), []);
  t.deepEqual(readNodeUrls("peers", " http://a:1 ,http://b:2,http://a:1,"), ["http://a:1", "http://b:2"]);
  t.is(readId("id", "nó-1.a_b"), "nó-1.a_b");
  t.is(readHost("host", "127.0.0.1", false), "127.0.0.1");
  t.is(readHost("host", "[::1]", false), "::1");
  t.is(readHost("host", "0.0.0.0", true), "0.0.0.0");
  t.true(isWildcard("0.0.0.0") && isWildcard("::") && isWildcard("0:0:0:0:0:0:0:0") && !isWildcard("::1"));
});

const refused: readonly (readonly [what: string, read: () => unknown, message: RegExp])[] = [
  ["port 80a1", () => readPort("port", "80a1", 0), /^--port is a whole number from 0 to 65535, such as 8001, not "80a1"$/],
  ["port 65536", () => readPort("port", "65536", 0), /65535/],
  ["port 1e3", () => readPort("port", "1e3", 0), /whole number/],
  ["an empty port", () => readPort("port", "", 0), /not ""$/],
  ["no nodes", () => readCount("nodes", "0", 1, 16), /^--nodes is a whole number from 1 to 16, not "0"$/],
  ["half a second", () => readSeconds("timeout", "0.5"), /^--timeout is a whole number of seconds/],
  ["15s", () => readSeconds("timeout", "15s"), /so 15, not "15s"$/],
  ["15000 minutes", () => readSeconds("timeout", "900000"), /from 1 to 86400/],
  ["no bytes", () => readBytes("max-value", "0", 1024 * 1024), /^--max-value is a size from 1 to 1MiB, such as 65536, .*, not "0"$/],
  ["too many bytes", () => readBytes("max-value", "1025KiB", 1024 * 1024), /from 1 to 1MiB/],
  ["thousands", () => readBytes("max-value", "1MB", 8 * 1024 * 1024), /not "1MB"$/],
  ["half a megabyte", () => readBytes("max-value", "0.5MiB", 8 * 1024 * 1024), /is a size/],
  ["no scheme", () => readNodeUrl("node", "localhost:8001"), /did you mean http:\/\/localhost:8001\?$/],
  ["a colon and a port", () => readNodeUrl("node", ":8001"), /did you mean http:\/\/localhost:8001\?$/],
  ["a port alone", () => readNodeUrl("node", "8001"), /did you mean http:\/\/localhost:8001\?$/],
  ["another scheme", () => readNodeUrl("node", "ftp://localhost:8001"), /did you mean http:\/\/localhost:8001\?$/],
  [
    "a password in the URL",
    () => readNodeUrl("node", "http://me:hunter2@localhost:8001"),
    /^--node: "http:\/\/…@localhost:8001" is not [^@]*$/,
  ],
  ["half a scheme", () => readNodeUrl("node", "http:/localhost:8001/store"), /is not the URL of a node/],
  ["a path", () => readNodeUrl("node", "http://localhost:8001/store"), /did you mean http:\/\/localhost:8001\?$/],
  ["nonsense", () => readNodeUrl("node", "no url"), /such as http:\/\/localhost:8002$/],
  ["one wrong peer of two", () => readNodeUrls("peers", "http://a:1,b"), /^--peers: "b" is not the URL of a node/],
  ["an id with a slash", () => readId("id", "a/b"), /not "a\/b"$/],
  ["an id that is a folder", () => readId("id", ".."), /^--id is a name/],
  ["a long id", () => readId("id", "x".repeat(61)), /60 letters.*…"$/],
  [
    "every interface",
    () => readHost("host", "0.0.0.0", false),
    /^--host=0\.0\.0\.0 would let anybody .*: add --cluster-key-file=FILE \(concord keygen FILE makes one\), or --insecure if that is meant$/,
  ],
  ["another interface", () => readHost("host", "192.168.1.5", false), /--insecure/],
  ["no loopback", () => readHost("host", "127.example.org", false), /--insecure/],
  ["a host with a port", () => readHost("host", "localhost:80", true), /is the address of an interface/],
  ["an empty host", () => readHost("host", "", true), /is the address of an interface/],
];

for (const [what, read, message] of refused) {
  test(`refused: ${what}`, (t) => {
    t.is(t.throws(read, { instanceOf: Failure, message })?.exitCode, 2);
  });
}

test("merge policies: several with commas, a refusal names the flag and what there is", (t) => {
  t.deepEqual(readMerge("merge", ""), []);
  t.deepEqual(readMerge("merge", "cart:=union, =max,a=b=min"), [
    { prefix: "cart:", policy: "union" },
    { prefix: "", policy: "max" },
    { prefix: "a=b", policy: "min" },
  ]);
  t.throws(() => readMerge("merge", "cart:"), { message: /^--merge: .*PREFIX=POLICY/ });
  t.throws(() => readMerge("merge", "cart:=onion"), { message: /^--merge: "onion" is no merge policy; there are latest, siblings/ });
});
