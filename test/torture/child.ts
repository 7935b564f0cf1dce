/** A helper process that answers each line with a line of JSON, and is made anew when it has been killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { LOADER } from "../support/launch.ts";

export class LineChild<Task, Report> {
  readonly #file: string;
  readonly #complaints: "inherit" | "ignore";
  #process: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;

  /** `complaints`: what becomes of what it writes to its standard error. */
  constructor(file: string, complaints: "inherit" | "ignore" = "inherit") {
    this.#file = file;
    this.#complaints = complaints;
  }

  /** Undefined when the process did not live to answer. */
  async ask(task: Task): Promise<Report | undefined> {
    if (this.#process === undefined) this.#start();
    this.#process!.stdin!.write(`${JSON.stringify(task)}\n`);
    const { value, done } = await this.#lines!.next();
    if (done !== true) return JSON.parse(value) as Report;
    this.#process = undefined;
    return undefined;
  }

  end(): void {
    this.#process?.kill("SIGKILL");
  }

  #start(): void {
    const child = spawn(process.execPath, [LOADER, this.#file], { stdio: ["pipe", "pipe", this.#complaints] });
    child.stdin.on("error", () => undefined);
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }
}
