/** Reads the project from the disk, for the rules to judge. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createSource, type Source } from "./source.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** All TypeScript files below these folders, in order of their paths; a folder that does not exist yet has none. */
export function readSources(folders: readonly string[]): Source[] {
  return folders
    .flatMap((folder) => listFiles(folder))
    .filter((path) => path.endsWith(".ts"))
    .map((path) => createSource(path, readText(path)));
}

export function readText(path: string): string {
  return readFileSync(`${root}/${path}`, "utf8");
}

/** The names at the top level of the project. */
export function readTopLevel(): string[] {
  return readdirSync(root).sort();
}

export function listFiles(folder: string): string[] {
  if (!existsSync(`${root}/${folder}`)) return [];
  return readdirSync(`${root}/${folder}`, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return entry.name === "node_modules" ? [] : listFiles(path);
      return [path];
    });
}
