import test from "ava";
import { bytesText, durationText, renderStatus } from "../../cmd/status.ts";
import { printable, table, wrap } from "../../cmd/terminal.ts";
import type { NodeReport } from "../../lib/client.ts";

const plain = { write: () => true };
const coloured = { isTTY: true, hasColors: () => true, write: () => true };

const report: NodeReport = {
  name: "node1",
  address: "http://localhost:8001",
  version: "1.2.3",
  uptimeMs: 61_000,
  ready: true,
  refused: { requests: {}, peers: {}, valuesKept: 0, valuesFarAhead: 0 },
  keys: 12,
  count: 13,
  hash: "abc",
  incarnations: 3,
  exceptions: 0,
  peers: [
    { address: "http://localhost:8002", name: "node2", status: "alive", listed: true, sinceMs: 0, roundTripMs: 1.25, inSync: true },
    {
      address: "http://localhost:8003",
      name: "",
      status: "dead",
      listed: true,
      sinceMs: 90_000,
      roundTripMs: undefined,
      inSync: undefined,
    },
    {
      address: "http://localhost:8004",
      name: "e\u001b[1mvil",
      status: "suspect",
      listed: false,
      sinceMs: 0,
      roundTripMs: 120,
      inSync: false,
    },
  ],
  scrub: { running: undefined, last: undefined, waiting: 0, waitingKeys: [] },
  repairingWith: undefined,
  sketchReady: true,
  repairs: [],
  lastRepair: {
    number: 1,
    peer: "http://localhost:8002",
    kind: "delta",
    why: "the contexts tell what is missing",
    result: "joined",
    requests: 1,
    differences: 4,
    entriesIn: 2,
    peerLacks: 1,
    dropped: 1,
    bytesIn: 340,
    bytesOut: 60,
    entryBytesIn: 200,
    tookMs: 4.6,
    endedMs: 95_000,
  },
  lastSent: { peer: "http://localhost:8003", entries: 1, bytes: 52, atMs: 90_000 },
  stopped: undefined,
};

test("status: one screen, plain where nobody looks", (t) => {
  t.deepEqual(renderStatus(report, 100_000, plain).split("\n"), [
    "node         node1  http://localhost:8001, version 1.2.3, up for 61 s",
    "keys         12 (1 more value from writes that did not know of each other)",
    "hash         abc",
    "last repair  delta from http://localhost:8002: 4 values differed, 2 entries received, 1 value removed (1 request, 340 bytes received, 60 bytes sent, 5 ms; complete); delta, because the contexts tell what is missing",
    "last sent    1 entry (52 bytes) to http://localhost:8003, which repaired from here 10 s ago",
    "",
    "PEER           ADDRESS                STATE     FOR    ROUND TRIP  DATA",
    "node2          http://localhost:8002  up        100 s  1.3 ms      in sync",
    "-              http://localhost:8003  down      10 s   -           -",
    "e\\u001b[1mvil  http://localhost:8004  up, slow  100 s  120 ms      lag",
    "",
  ]);
});

test("status: colours on a terminal, and what is wrong is said", (t) => {
  const text = renderStatus(
    { ...report, stopped: "the disk is full", lastRepair: undefined, repairingWith: "http://localhost:8002" },
    0,
    coloured,
  );
  t.true(text.includes("\u001b[31mtakes no writes: the disk is full\u001b[39m"));
  t.regex(text, /last repair {2}under way with http:\/\/localhost:8002\n/);
  t.regex(text, /\u001b\[31m- .*down.*\u001b\[39m/);
});

test("durations and sizes: two digits or so", (t) => {
  t.deepEqual([-5, 0, 119_000, 120_000, 7_200_000, 172_800_000].map(durationText), ["0 s", "0 s", "119 s", "2 min", "2 h", "2 d"]);
  t.deepEqual([1, 9_999, 10_000, 12_345_678].map(bytesText), ["1 byte", "9999 bytes", "10 kB", "12 MB"]);
});

test("tables, wrapping, and text that would steer a terminal", (t) => {
  t.deepEqual(
    table([
      ["a", "b"],
      ["long", "c"],
    ]),
    ["a     b", "long  c"],
  );
  t.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  t.deepEqual(wrap("unbreakable", 3), ["unbreakable"]);
  t.is(printable("a\u009bb\u202ec\n"), "a\\u009bb\\u202ec\\u000a");
  t.is(printable("a\tb\nc\r", { keepLines: true }), "a\tb\nc\\u000d");
});
