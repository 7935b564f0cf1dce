/**
 * The wire between the nodes of this lesson: each node is reached through a port of it, and what crosses is counted. Started, it is a wire
 * that is plugged in; stopped, one that is pulled out.
 *
 *   node --import=tsx wire.ts 8003:8001 8004:8002 [PICTURE]    what comes to 8003 goes to 8001, what comes to 8004 to 8002
 *
 * Each time when the nodes agree after a difference it says what that took, and draws it into the file PICTURE.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { createAccountant, type Account, type Accountant } from "./account.ts";
import { drawPicture } from "./picture.ts";

const links = process.argv.slice(2).filter((argument) => /^\d+:\d+$/.test(argument));
const picture = process.argv.slice(2).find((argument) => argument.endsWith(".svg"));
const nodePort = links[0]?.split(":")[1];
if (links.length !== 2) throw new Error("two links are needed, such as 8003:8001 8004:8002");

const accountant = createAccountant((account) => void tell(account));
let listening = 0;
for (const link of links) openLink(link, accountant);

function openLink(link: string, { connection }: Accountant): void {
  const [from, to] = link.split(":").map(Number);
  const server = createServer((near) => {
    const far = connect(to!, "127.0.0.1");
    const { requests, answers } = connection();
    near.setNoDelay(true).on("data", requests);
    far.setNoDelay(true).on("data", answers);
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  });
  server.listen(from, "127.0.0.1", () => ++listening === links.length && console.log("the wire is plugged in"));
}

async function tell({ messages, bytes, parts }: Account): Promise<void> {
  console.log(`the nodes agree again: ${text(bytes)} bytes in ${messages} messages`);
  console.log(`  HTTP's own headers  ${text(parts.headers)} bytes`);
  console.log(`  pings               ${text(parts.pings)} bytes`);
  console.log(`  questions           ${text(parts.questions)} bytes`);
  console.log(`  answers             ${text(parts.answers)} bytes`);
  console.log(`  entries             ${text(parts.entries)} bytes`);
  if (picture === undefined) return;
  const store = await fetch(`http://127.0.0.1:${nodePort}/store`).then((answer) => answer.arrayBuffer());
  const status = (await fetch(`http://127.0.0.1:${nodePort}/status`).then((answer) => answer.json())) as { readonly keys: number };
  mkdirSync(dirname(picture), { recursive: true });
  writeFileSync(picture, drawPicture({ messages, bytes, parts }, { keys: status.keys, storeBytes: store.byteLength }));
  console.log(`drawn: ${picture}`);
}

function text(number: number): string {
  return number.toLocaleString("en");
}
