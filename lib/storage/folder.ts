/**
 * The data folder: made when missing, recognised by a marker file, and held by one storage of this process at a time.
 *
 * The marker says whose folder this is and in which format. Without it, a folder with anything in it is somebody else's and is left
 * alone; with a higher number, a newer program wrote it, and an older one must not guess. It is drafted before the database is made
 * and renamed into place afterwards: a marker without a database means that the data is lost, a draft that the making was cut short
 * and goes on.
 *
 * Other processes are kept out by lmdb's own locks (see lmdb.ts), which know nothing of a second opening in this process.
 */
import { mkdir, open, readdir, readFile, realpath, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConcordError } from "../core/errors.ts";
import { damagedStore, lockedFolder } from "./failure.ts";
import { DATA_FILE } from "./probe.ts";

/** The format this program writes. 1: keys and records. 2: the same, and a journal, without which a program would miss the newest writes. */
export const STORAGE_FORMAT = 2;
export const MARKER_FILE = "concord-format.json";

const MARKER_NAME = "concord storage";
const MARKER_DRAFT = ".concord-format.json";
/** What may lie in a folder that counts as empty: hidden files, and what a fresh file system brings along. */
const HARMLESS = /^\.|^lost\+found$/;
/** The data belongs to the user that runs the node, as the data of other databases does. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

export interface Folder {
  /** Absolute, without symbolic links: the same folder has one path. */
  readonly path: string;
  /** True when there was no store here before: a database may be missing. */
  readonly fresh: boolean;
  /** The database is there. Names the folder ours, and of this format, so that this survives a power cut. */
  settle(): Promise<void>;
  /** Lets this process open it again. */
  release(): void;
}

/** Device and inode of the folders open in this process. A module's state, because processes are what it keeps apart. */
const held = new Set<string>();

export async function openFolder(folder: string): Promise<Folder> {
  await makeFolder(folder);
  const path = await realpath(folder);
  const { dev, ino } = await stat(path);
  const identity = `${dev}:${ino}`;
  if (held.has(identity)) throw lockedFolder(path, "this very process");
  held.add(identity);
  try {
    const format = await checkMarker(path);
    const settle = async (): Promise<void> => {
      if (format === STORAGE_FORMAT) return;
      if (format !== undefined) await draftMarker(path);
      await placeMarker(path);
    };
    return { path, fresh: format === undefined, settle, release: () => held.delete(identity) };
  } catch (error) {
    held.delete(identity);
    throw error;
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" && code !== "ENOTDIR") throw error;
    throw new ConcordError("foreign", `${folder} is a file, or lies below one: name a folder for the data`, { cause: error });
  }
}

/** Returns the format; undefined when the folder is empty, or its making was cut short. */
async function checkMarker(path: string): Promise<number | undefined> {
  const names = await readdir(path);
  if (names.includes(MARKER_FILE)) return readMarker(path, await readFile(join(path, MARKER_FILE), "utf8"));
  const foreign = names.find((name) => !HARMLESS.test(name));
  if (foreign !== undefined && !names.includes(MARKER_DRAFT)) {
    const message =
      `${path} holds ${foreign} and is not a Concord data folder (it has no ${MARKER_FILE}): ` +
      "name an empty folder, or one that Concord has made";
    throw new ConcordError("foreign", message);
  }
  await draftMarker(path);
  return undefined;
}

function readMarker(path: string, text: string): number {
  const { name, format } = parseMarker(path, text);
  if (name !== MARKER_NAME) {
    const message = `${path} is not a Concord data folder (its ${MARKER_FILE} names something else): name another folder`;
    throw new ConcordError("foreign", message);
  }
  if (typeof format !== "number" || !Number.isSafeInteger(format) || format < 1) {
    throw damagedStore(path, `${MARKER_FILE} names no format`);
  }
  if (format > STORAGE_FORMAT) {
    const message =
      `${path} was written by a newer Concord (storage format ${format}; this one reads ${STORAGE_FORMAT} at most): ` +
      "start that version, or name another folder";
    throw new ConcordError("newer-format", message);
  }
  return format;
}

function parseMarker(path: string, text: string): { readonly name?: unknown; readonly format?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw damagedStore(path, `${MARKER_FILE} cannot be read`, error);
  }
  throw damagedStore(path, `${MARKER_FILE} is not what Concord writes`);
}

async function draftMarker(path: string): Promise<void> {
  const note = "The data of one Concord node. Do not edit; copy only while the node is stopped.";
  const file = await open(join(path, MARKER_DRAFT), "w", FILE_MODE);
  try {
    await file.writeFile(`${JSON.stringify({ name: MARKER_NAME, format: STORAGE_FORMAT, note })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await synchronise(path);
}

async function placeMarker(path: string): Promise<void> {
  // lmdb leaves its first pages to the system: a marker that survives a power cut without them would name an empty file ours.
  await synchronise(join(path, DATA_FILE));
  await rename(join(path, MARKER_DRAFT), join(path, MARKER_FILE));
  await synchronise(path);
  await synchronise(dirname(path));
}

/** Of a folder: a new name, even of a file that is safe itself, may be lost in a power cut until its folder is synchronised. */
export async function synchronise(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    // Windows opens no folders, and a parent may belong to somebody else: there the file system's own habits must do.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EISDIR" && code !== "EPERM" && code !== "EACCES" && code !== "EINVAL") throw error;
  }
}
