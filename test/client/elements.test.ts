import test from "ava";
import fc from "fast-check";
import { readElements } from "../../lib/client/elements.ts";

async function elements(chunks: readonly Uint8Array[]): Promise<string[]> {
  const found: string[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const element of readElements(source)) found.push(element);
  return found;
}

/** The text in pieces that end anywhere, also in the middle of a character. */
function cut(text: string, sizes: readonly number[]): Uint8Array[] {
  const bytes = Buffer.from(text);
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

test("whatever the values and the pieces are, the elements come out as they went in", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.string({ unit: "binary" }), value: fc.jsonValue() }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom("", "\n", "  "),
      async (values, sizes, space) => {
        const texts = values.map((value) => JSON.stringify(value));
        const text = `${space}[${texts.join(`${space},${space}`)}${space}]${space}`;
        t.deepEqual(await elements(cut(text, sizes)), texts);
      },
    ),
  );
});

test("an array that is cut off is an error, wherever it ends", async (t) => {
  const text = '[{"key":"a]","value":[1,{"b":"\\"]"}]},\n{"key":"b","value":2}]';
  t.is((await elements([Buffer.from(text)])).length, 2);
  for (let end = 0; end < text.length; end++) {
    await t.throwsAsync(elements([Buffer.from(text.slice(0, end))]), { message: "the listing ends in the middle" }, text.slice(0, end));
  }
});

test("what is no array is refused", async (t) => {
  await t.throwsAsync(elements([Buffer.from('{"error":"x"}')]), { message: "the listing is no array" });
  await t.throwsAsync(elements([Buffer.from("hello")]), { message: "the listing ends in the middle" });
});
