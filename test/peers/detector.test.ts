/** The failure detector's transcripts: signals in, a verdict out, and only the monotonic clock is read. */
import test from "ava";
import { Detector, type MemberStatus } from "../../lib/peers/detector.ts";

const TIMEOUT_MS = 1000;

test("a peer that was never heard is unknown, then dead", (t) => {
  const detector = new Detector(TIMEOUT_MS);
  t.is(detector.status(1_000_000), "unknown", "nobody asked it");
  detector.asked(0);
  t.deepEqual([0, 500, 999, 1000].map((ms) => detector.status(ms)), ["unknown", "unknown", "unknown", "dead"]); // prettier-ignore
});

test("a peer that answers is alive, however long nobody asks", (t) => {
  const detector = new Detector(TIMEOUT_MS);
  detector.asked(0);
  detector.signal();
  t.is(detector.status(0), "alive");
  t.is(detector.status(1_000_000), "alive");
});

test("silence after a ping: alive, from half the timeout suspect, from the whole of it dead, until it is heard", (t) => {
  const detector = new Detector(TIMEOUT_MS);
  detector.signal();
  detector.asked(100);
  const transcript: [number, MemberStatus][] = [
    [100, "alive"],
    [599, "alive"],
    [600, "suspect"],
    [1099, "suspect"],
    [1100, "dead"],
    [99_999, "dead"],
  ];
  for (const [ms, status] of transcript) t.is(detector.status(ms), status, `at ${ms}`);
  detector.signal();
  t.is(detector.status(99_999), "alive");
});

test("silence counts from the first ping that is unanswered, not from the last", (t) => {
  const detector = new Detector(TIMEOUT_MS);
  detector.signal();
  detector.asked(0);
  detector.asked(900);
  t.is(detector.status(1000), "dead");
  detector.signal();
  detector.asked(2000);
  t.is(detector.status(2400), "alive", "and anew after it was heard");
});

test("a refused connection is death at once, until the peer is heard", (t) => {
  const detector = new Detector(TIMEOUT_MS);
  detector.signal();
  detector.asked(0);
  detector.refused();
  t.is(detector.status(1), "dead");
  detector.asked(2);
  t.is(detector.status(3), "dead", "another ping does not raise it");
  detector.signal();
  t.is(detector.status(4), "alive");
});
