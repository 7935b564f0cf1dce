/** Whose folder it is: made when missing, refused when it is somebody else's, newer, or open in another process. */
import { mkdir, readdir, readFile, rename, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ConcordError, type ErrorCode } from "../../lib/core/errors.ts";
import { openDiskStorage } from "../../lib/storage/disk.ts";
import { MARKER_FILE } from "../../lib/storage/folder.ts";
import { JOURNAL_FILE } from "../../lib/storage/journal-file.ts";
import { scratch, startChild } from "./disk.ts";

async function refused(t: ExecutionContext, folder: string, code: ErrorCode, message: RegExp): Promise<void> {
  const error = await t.throwsAsync(openDiskStorage({ folder }), { instanceOf: ConcordError, code, message });
  t.true(error?.message.includes(folder), `names the folder: ${error?.message}`);
}

async function fillOnce(folder: string): Promise<void> {
  const storage = await openDiskStorage({ folder });
  await storage.write([{ key: "a", value: Buffer.from("1") }]);
  await storage.close();
}

test("folder: made with its parents, for this user alone, and marked", async (t) => {
  const folder = join(await scratch(t), "one", "two");
  await fillOnce(folder);
  t.deepEqual((await readdir(folder)).sort(), [MARKER_FILE, JOURNAL_FILE, "data.mdb", "lock.mdb"]);
  t.like(JSON.parse(await readFile(join(folder, MARKER_FILE), "utf8")), { name: "concord storage", format: 2 });
  t.is((await stat(folder)).mode & 0o077, 0);
  for (const name of ["data.mdb", JOURNAL_FILE]) t.is((await stat(join(folder, name))).mode & 0o077, 0, name);
});

test("folder: an empty one is taken, also with what a fresh disk brings along", async (t) => {
  const folder = await scratch(t);
  await mkdir(join(folder, "lost+found"));
  await writeFile(join(folder, ".gitkeep"), "");
  await fillOnce(folder);
  t.true((await readdir(folder)).includes(MARKER_FILE));
});

test("folder: a making that was cut short goes on", async (t) => {
  const folder = await scratch(t);
  await writeFile(join(folder, `.${MARKER_FILE}`), "");
  await writeFile(join(folder, "data.mdb"), "");
  await fillOnce(folder);
  t.false((await readdir(folder)).includes(`.${MARKER_FILE}`));
  const storage = await openDiskStorage({ folder });
  t.is(storage.get("a")?.length, 1);
  await storage.close();
});

test("folder: somebody else's is refused, and left as it is", async (t) => {
  const folder = await scratch(t);
  await writeFile(join(folder, "data.mdb"), "theirs");
  await refused(t, folder, "foreign", /holds data\.mdb and is not a Concord data folder .*: name an empty folder/);
  t.deepEqual(await readdir(folder), ["data.mdb"]);
  await writeFile(join(folder, MARKER_FILE), JSON.stringify({ name: "another program", format: 1 }));
  await refused(t, folder, "foreign", /names something else/);
  await refused(t, join(folder, "data.mdb"), "foreign", /is a file, or lies below one: name a folder/);
  await refused(t, join(folder, "data.mdb", "below"), "foreign", /is a file, or lies below one/);
  t.is(await readFile(join(folder, "data.mdb"), "utf8"), "theirs");
});

test("folder: a newer format is refused, naming both", async (t) => {
  const folder = await scratch(t);
  await writeFile(join(folder, MARKER_FILE), JSON.stringify({ name: "concord storage", format: 3 }));
  await refused(t, folder, "newer-format", /newer Concord \(storage format 3; this one reads 2 at most\): start that version/);
});

for (const marker of [
  "",
  "{",
  "null",
  "7",
  JSON.stringify({ name: "concord storage" }),
  JSON.stringify({ name: "concord storage", format: 0 }),
]) {
  test(`folder: a marker that says ${marker === "" ? "nothing" : marker} is damaged`, async (t) => {
    const folder = join(await scratch(t), "data");
    await fillOnce(folder);
    await writeFile(join(folder, MARKER_FILE), marker);
    await refused(t, folder, "damaged", /concord-format\.json .*: restore the folder from a backup, or move it away/);
  });
}

test("folder: one storage at a time in one process, by whatever path", async (t) => {
  const parent = await scratch(t);
  const folder = join(parent, "data");
  const storage = await openDiskStorage({ folder });
  await symlink(folder, join(parent, "link"));
  await refused(t, folder, "locked", /is already open in this very process: stop that one first/);
  await t.throwsAsync(openDiskStorage({ folder: join(parent, "link") }), { code: "locked" });
  await storage.close();
  await (await openDiskStorage({ folder: join(parent, "link") })).close();
});

test("folder: a failed opening does not hold it", async (t) => {
  const folder = join(await scratch(t), "data");
  await fillOnce(folder);
  const marker = await readFile(join(folder, MARKER_FILE));
  await writeFile(join(folder, MARKER_FILE), "");
  await refused(t, folder, "damaged", /cannot be read/);
  await writeFile(join(folder, MARKER_FILE), marker);
  await fillOnce(folder);
  t.like(await readdir(folder), { length: 4 });
});

test("folder: open in another process, it is refused by that one's number; free as soon as that one is killed", async (t) => {
  const folder = join(await scratch(t), "data");
  const holder = startChild(t, "hold", folder);
  t.deepEqual(await holder.next(), { open: true });
  for (let attempt = 0; attempt < 3; attempt++) {
    await refused(t, folder, "locked", new RegExp(`is already open in process ${holder.process.pid}: stop that one first, or give`));
  }
  await holder.kill();
  await fillOnce(folder);
  t.true((await readdir(folder)).includes("data.mdb"));
});

test("folder: held while writes go on, and given back by closing", async (t) => {
  const folder = join(await scratch(t), "data");
  const storage = await openDiskStorage({ folder });
  let writing = true;
  const writes = (async () => {
    for (let number = 0; writing; number++) await storage.write([{ key: "a", value: Buffer.from(String(number)) }]);
  })();
  for (let attempt = 0; attempt < 3; attempt++) {
    const line = await startChild(t, "hold", folder).next();
    t.like(line, { refused: "locked" });
    t.true(line !== undefined && "message" in line && line.message.includes(`process ${process.pid}`));
  }
  writing = false;
  await writes;
  await storage.close();
  t.deepEqual(await startChild(t, "hold", folder).next(), { open: true });
});

test("folder: of processes that come at once, one at most gets in", async (t) => {
  for (const fresh of [true, false]) {
    const folder = join(await scratch(t), "data");
    if (!fresh) await fillOnce(folder);
    const children = Array.from({ length: 3 }, () => startChild(t, "hold", folder));
    const lines = await Promise.all(children.map((child) => child.next()));
    t.true(lines.filter((line) => line !== undefined && "open" in line).length <= 1, JSON.stringify(lines));
    for (const line of lines)
      t.true(line !== undefined && ("open" in line || ("refused" in line && line.refused === "locked")), JSON.stringify(line));
    await Promise.all(children.map((child) => child.kill()));
    await fillOnce(folder);
  }
});

test("a data file whose making was cut short by a power loss is made anew, one of a settled folder never", async (t) => {
  const folder = await scratch(t);
  await (await openDiskStorage({ folder })).close();
  await rename(join(folder, MARKER_FILE), join(folder, `.${MARKER_FILE}`));
  for (const content of [Buffer.alloc(8_192), Buffer.alloc(4_096, 7), Buffer.from("half a page")]) {
    await writeFile(join(folder, "data.mdb"), content);
    const storage = await openDiskStorage({ folder });
    await storage.write([{ key: "k", value: Buffer.from("v") }]);
    await storage.close();
    await rename(join(folder, MARKER_FILE), join(folder, `.${MARKER_FILE}`));
  }
  await rename(join(folder, `.${MARKER_FILE}`), join(folder, MARKER_FILE));
  await writeFile(join(folder, "data.mdb"), Buffer.alloc(8_192));
  await refused(t, folder, "damaged", /is damaged/);
  t.deepEqual(await readFile(join(folder, "data.mdb")), Buffer.alloc(8_192));
});
