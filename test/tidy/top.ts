/** The top level of the project is fixed: whoever opens it sees at one glance where everything is. */
import type { Finding } from "./source.ts";

const allowed: ReadonlySet<string> = new Set([
  ...["package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE"],
  ...["cmd", "lib", "test", "examples"],
]);

/** What .gitignore keeps out of the repository may lie about on a developer's disk. */
const ignored = /^(node_modules|dist|data|.*\.log)$/;

export function checkTopLevel(names: readonly string[]): Finding[] {
  return names
    .filter((name) => !name.startsWith(".") && !allowed.has(name) && !ignored.test(name))
    .map((name) => ({ path: name, message: "does not belong to the top level: put it into cmd, lib, test, examples or a dot-folder" }));
}
