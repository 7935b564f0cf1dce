/** The system's clock, dice, ticker and log. */
import test, { type ExecutionContext } from "ava";
import { createSystemClock } from "../../lib/runtime/clock.ts";
import { createCronSchedule, createCronTicker, isCronText } from "../../lib/runtime/cron.ts";
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

/** A ticker's ticks, to be waited for. */
function countTicks(t: ExecutionContext, start: (tick: () => void) => { stop(): void }) {
  let ticks = 0;
  const ticker = start(() => void ticks++);
  t.teardown(() => ticker.stop());
  return {
    get ticks() {
      return ticks;
    },
    stop: () => ticker.stop(),
    /** Resolves when so many more have come. */
    async more(count: number): Promise<void> {
      const wanted = ticks + count;
      while (ticks < wanted) await pause(20);
    },
  };
}

/** Longer than two ticks are apart. */
const SILENCE_MS = 2_200;

test("cron: ticks about once a second until it is stopped", async (t) => {
  const counted = countTicks(t, createCronTicker);
  await counted.more(1);
  const firstMs = performance.now();
  await counted.more(3);
  // Two may come as a pair (cron.ts).
  t.true(performance.now() - firstMs > 900, `three more in ${performance.now() - firstMs} ms`);
  counted.stop();
  const stoppedAt = counted.ticks;
  await pause(SILENCE_MS);
  t.is(counted.ticks, stoppedAt);
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
    const counted = countTicks(t, createCronTicker);
    await counted.more(1);
    offsetMs = stepMs;
    const before = counted.ticks;
    await counted.more(3);
    t.true(counted.ticks - before < 10, `${counted.ticks - before} ticks at once`);
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

test("cron text: what is one, and what is not", (t) => {
  for (const text of ["0 3 * * *", "*/5 * * * *", "30 2 * * 1-5", "0 0 3 1 * *", "0 3 * * sunday"]) t.true(isCronText(text), text);
  for (const text of ["", " ", "at three", "0 25 * * *", "0 3 * *", "* * * * * * *", "3am"]) t.false(isCronText(text), text);
});

test("cron schedule: calls at its times until it is stopped", async (t) => {
  const counted = countTicks(t, (call) => createCronSchedule("* * * * * *", call));
  await counted.more(2);
  counted.stop();
  const stoppedAt = counted.ticks;
  await pause(SILENCE_MS);
  t.is(counted.ticks, stoppedAt);
});
