/**
 * A local cluster on paper: which nodes there will be, and with which command each is started, by us now or by a person later.
 */
import { basename, join, relative } from "node:path";
import { DATA_FOLDER } from "../serve.ts";

export interface ClusterOptions {
  readonly nodes: number;
  /** Of the first; the others follow. */
  readonly port: number;
  /** Holds one folder a node; undefined keeps everything in memory. */
  readonly folder: string | undefined;
  readonly pingEverySeconds: number;
  readonly timeoutSeconds: number;
  readonly clusterKeyFile: string | undefined;
  /** As it was typed; empty for no policies. */
  readonly merge: string;
}

export interface NodePlan {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly folder: string | undefined;
  /** After the program: "serve" and its flags. */
  readonly argv: readonly string[];
  /** What a person types to start it again. */
  readonly commandLine: string;
}

/** How this very program was started. */
export interface Program {
  /** For spawn: the executable, and what comes before the arguments. */
  readonly command: string;
  readonly prefix: readonly string[];
  /** The same, for a person. */
  readonly shown: string;
}

export function planCluster(options: ClusterOptions, program: Program): NodePlan[] {
  const ports = Array.from({ length: options.nodes }, (_, i) => options.port + i);
  const urls = ports.map((port) => `http://localhost:${port}`);
  return ports.map((port, i) => {
    const name = `node${i + 1}`;
    const folder = options.folder === undefined ? undefined : join(options.folder, name);
    const argv = [
      "serve",
      `--port=${port}`,
      `--peers=${urls.filter((_, other) => other !== i).join(",")}`,
      `--id=${name}`,
      `--pingfreq=${options.pingEverySeconds}`,
      `--timeout=${options.timeoutSeconds}`,
      ...folderFlags(folder, name),
      ...(options.merge === "" ? [] : [`--merge=${options.merge}`]),
      ...(options.clusterKeyFile === undefined ? [] : [`--cluster-key-file=${options.clusterKeyFile}`]),
    ];
    const commandLine = [program.shown, ...argv.map(quote)].join(" ");
    return { name, port, url: urls[i] ?? "", folder, argv, commandLine };
  });
}

function folderFlags(folder: string | undefined, name: string): string[] {
  if (folder === undefined) return ["--memory"];
  return folder === join(DATA_FOLDER, name) ? [] : [`--data=${folder}`];
}

interface ProcessLike {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly argv: readonly string[];
  readonly cwd: () => string;
}

/** From the source or from dist, through node or through the installed name. */
export function programOf({ execPath, execArgv, argv, cwd }: ProcessLike): Program {
  const script = argv[1] ?? "";
  // A debugger's port is one process's own.
  const nodeFlags = execArgv.filter((flag) => !flag.startsWith("--inspect"));
  const fromSource = script.endsWith(".ts");
  const shown = basename(script) === "concord" ? "concord" : `node ${fromSource ? "--import=tsx " : ""}${quote(relative(cwd(), script))}`;
  return { command: execPath, prefix: [...nodeFlags, script], shown };
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
