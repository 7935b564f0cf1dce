/** The system's clock, dice, ticker and log. */
import test from "ava";
import { createSystemClock } from "../../lib/runtime/clock.ts";
import { createCronTicker } from "../../lib/runtime/cron.ts";
import { createLog } from "../../lib/runtime/log.ts";
import { createSystemRandom } from "../../lib/runtime/random.ts";
import { pause } from "../support/nodes.ts";

test("clock: the wall's time, and one that never runs backwards", async (t) => {
  const clock = createSystemClock();
  const before = clock.now();
  await pause(20);
  const after = clock.now();
  t.true(Math.abs(before.wallMs - Date.now()) < 5_000);
  t.true(after.monotonicMs - before.monotonicMs >= 10);
});

test("random: 32 bits, past the first block, without an obvious pattern", (t) => {
  const random = createSystemRandom();
  const drawn = Array.from({ length: 1_000 }, () => random.uint32());
  t.true(drawn.every((number) => Number.isInteger(number) && number >= 0 && number < 2 ** 32));
  t.true(new Set(drawn).size > 990);
  t.true(drawn.some((number) => number > 2 ** 31) && drawn.some((number) => number < 2 ** 31));
});

test.serial("cron: ticks about once a second until it is stopped", async (t) => {
  let ticks = 0;
  const ticker = createCronTicker(() => void ticks++);
  await pause(4_300);
  t.true(ticks >= 3 && ticks <= 6, `${ticks} ticks in 4.3 seconds`);
  ticker.stop();
  const stoppedAt = ticks;
  await pause(3_000);
  t.is(ticks, stoppedAt);
});

for (const [how, stepMs] of [
  ["back by an hour", -3_600_000],
  ["forward by a month, without going through all that it has missed", 30 * 86_400_000],
] as const)
  test.serial(`cron: goes on ticking after the wall's clock was set ${how}`, async (t) => {
    const RealDate = Date;
    let offsetMs = 0;
    class SteppedDate extends RealDate {
      constructor(...parts: [] | [number]) {
        if (parts.length === 0) super(RealDate.now() + offsetMs);
        else super(...parts);
      }

      static override now(): number {
        return RealDate.now() + offsetMs;
      }
    }
    globalThis.Date = SteppedDate as DateConstructor;
    t.teardown(() => void (globalThis.Date = RealDate));
    let ticks = 0;
    const ticker = createCronTicker(() => void ticks++);
    t.teardown(() => ticker.stop());
    await pause(1_500);
    offsetMs = stepMs;
    const before = ticks;
    await pause(6_500);
    t.true(ticks - before >= 3, `${ticks - before} ticks in 6.5 seconds`);
  });

function capture(isTTY: boolean): { readonly isTTY: boolean; write(text: string): void; text: string } {
  return {
    isTTY,
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

test("log: plain lines with the node's name where it is no terminal", (t) => {
  const stream = capture(false);
  const log = createLog("n1", { stream });
  log.write("info", "Peer x is up");
  log.write("warn", "Peer x is down");
  log.write("error", "stopped");
  log.write("debug", "not shown");
  for (let i = 0; i < 20; i++) log.write("info", "again");
  t.is(stream.text, `[n1] Peer x is up\n[n1] Peer x is down\n[n1] stopped\n${"[n1] again\n".repeat(20)}`);
});

test("log: levels, and silence", (t) => {
  const [errors, all, none] = [capture(false), capture(false), capture(false)];
  for (const log of [createLog("n", { level: "error", stream: errors }), createLog("n", { level: "debug", stream: all })]) {
    log.write("warn", "w");
    log.write("error", "e");
    log.write("debug", "d");
  }
  createLog("n", { silent: true, stream: none }).write("error", "e");
  t.deepEqual([errors.text, all.text, none.text], ["[n] e\n", "[n] w\n[n] e\n[n] d\n", ""]);
});

test("log: what a peer says of itself begins no line and steers no terminal", (t) => {
  const stream = capture(false);
  createLog("n", { stream }).write("info", "Peer http://x\n[n] all is well\u001b[2J is up");
  t.is(stream.text, "[n] Peer http://x?[n] all is well?[2J is up\n");
});

test("log: a colour of its own for each name where it is a terminal", (t) => {
  const stream = capture(true);
  createLog("n1", { stream }).write("info", "line");
  t.is(stream.text.replace(/\u001b\[\d+m/g, ""), "[n1] line\n");
});
