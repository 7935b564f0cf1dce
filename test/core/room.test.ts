/** Room in a context: what counts is what it would hold after the join. */
import test from "ava";
import { RANGES_MAX } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { checkJoinRoom } from "../../lib/core/room.ts";

const [A, B] = ["aaaaaaaa", "bbbbbbbb"];

/** Each second dot of an incarnation, the last one seen `gaps` times two. */
function full(incarnation: string, gaps: number): Context {
  const context = new Context();
  for (let i = 1; i <= gaps; i++) context.add({ incarnation, counter: 2 * i });
  return context;
}

test("news that fill gaps have as many ranges as there were gaps, and are welcome all the same", (t) => {
  const gaps = Math.ceil(RANGES_MAX * 0.55);
  const context = full(A, gaps);
  const theirs = new Context();
  for (let i = 1; i <= 2 * gaps; i++) theirs.add({ incarnation: A, counter: i });
  const news = theirs.minus(context);
  t.true(context.exceptionCount + news.exceptionCount > RANGES_MAX, "or the test shows nothing");
  t.notThrows(() => checkJoinRoom(context, news));
  context.join(news);
  t.is(context.exceptionCount, 0);
});

test("news that make more gaps than a context can tell of are refused, before they are joined", (t) => {
  const context = full(A, Math.ceil(RANGES_MAX * 0.55));
  const before = context.exceptionCount;
  t.throws(() => checkJoinRoom(context, full(B, Math.ceil(RANGES_MAX * 0.55))), { message: /gaps/ });
  t.is(context.exceptionCount, before);
});
