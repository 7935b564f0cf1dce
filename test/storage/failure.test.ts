/** The system's errors, in words that help. */
import { constants, tmpdir } from "node:os";
import test from "ava";
import { ConcordError } from "../../lib/core/errors.ts";
import { storageError } from "../../lib/storage/failure.ts";

const failed = (code: number | string): Error => Object.assign(new Error("as the system says"), { code });

for (const [code, expected] of [
  [constants.errno.ENOSPC, "disk-full"],
  [constants.errno.EDQUOT, "disk-full"],
  [constants.errno.EFBIG, "disk-full"],
  ["ENOSPC", "disk-full"],
  [-30_792, "disk-full"],
  [-30_796, "damaged"],
  [-30_793, "damaged"],
  [constants.errno.EIO, "storage-failed"],
  ["EACCES", "storage-failed"],
] as const) {
  test(`failure: ${code} is ${expected}, with the folder, the reason and the way out`, (t) => {
    const cause = failed(code);
    const error = storageError(tmpdir(), cause);
    t.is(error.code, expected);
    t.is(error.cause, cause);
    t.true(error.message.includes(tmpdir()));
    t.regex(error.message, /\(as the system says\): \w+/);
  });
}

test("failure: our own errors pass, and whatever else is thrown is one of ours", (t) => {
  const own = new ConcordError("locked", "as it is");
  t.is(storageError("/data", own), own);
  t.is(storageError("/data", "a string").code, "storage-failed");
  t.is(storageError("/data", undefined).code, "storage-failed");
});
