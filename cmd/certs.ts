/**
 * `concord certs`: a CA and a certificate for each node, without openssl; called again, it renews them.
 */
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { createCommand } from "./command.ts";
import { EXIT, nodeFailure, usageFailure } from "./exit.ts";
import { readCount } from "./settings.ts";
import { table } from "./terminal.ts";

/** A year and a month: whoever renews once a year is never late. */
const DAYS = "397";
const DAYS_MAX = 3_650;
/** More have their own ways. */
const HOSTS_MAX = 256;

export const certs = createCommand({
  name: "certs",
  summary: "makes a CA and certificates for nodes",
  details: [
    "Writes ca.crt and ca.key, and for each host a certificate and its key, which a node takes as --tls-cert and --tls-key. A host is the name or " +
      "address in the node's URL; localhost stands for 127.0.0.1 and ::1 as well.",
    "When the folder has a CA already, that one signs: called again, it renews the certificates, and running nodes take them over from their files within " +
      "seconds. Keep ca.key away from the nodes: whoever has it can make peers.",
  ],
  args: {
    out: { type: "string", valueHint: "certs", default: "certs", description: "The folder to write to, made when missing." },
    hosts: { type: "string", valueHint: "n1.example.org,n2.example.org", required: true, description: "The nodes' hosts." },
    days: {
      type: "string",
      valueHint: DAYS,
      default: DAYS,
      description: "How long the nodes' certificates are valid. The CA is for ten years.",
    },
  },
  lists: ["hosts"],
  examples: [
    ["concord certs --hosts=localhost", "for trying it on this machine"],
    ["concord certs --out=certs --hosts=n1.example.org,n2.example.org,10.0.0.3", "for three nodes"],
  ],
  async run({ out, hosts: hostsText, days: daysText }, { stdout }) {
    const hosts = readHosts(hostsText);
    const days = readCount("days", daysText, 1, DAYS_MAX);
    if (out === "") throw usageFailure("--out is the name of a folder");
    const { fillCertificateFolder } = await import("../lib/auth/certificate-folder.ts");
    const made = await fillCertificateFolder(out, hosts, days, Date.now()).catch((error: unknown) => {
      throw nodeFailure(error);
    });
    const rows = [
      [made.ca, `the CA, for --tls-ca of every node and client${made.isNew ? "" : " (as it was)"}`],
      [made.caKey, "signs new certificates: keep it away from the nodes"],
      ...made.certificates.flatMap(({ host, cert, key }) => [
        [cert, `for the node at ${host}, valid for ${days} days`],
        [key, "its key"],
      ]),
    ];
    stdout.write(`${table(rows).join("\n")}\n`);
    return EXIT.done;
  },
});

function readHosts(text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  const hosts = [...new Set(parts.filter((part) => part !== "").map(readHostName))];
  if (hosts.length === 0) throw usageFailure("--hosts names no host: write --hosts=localhost, or the names in the nodes' URLs");
  if (hosts.length > HOSTS_MAX) throw usageFailure(`--hosts names ${hosts.length} hosts; ${HOSTS_MAX} are the most`);
  return hosts;
}

function readHostName(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0) return bare;
  const ascii = domainToASCII(bare);
  if (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(ascii) && !ascii.includes("..") && ascii.length <= 253 && ascii !== "ca") return ascii;
  throw usageFailure(`--hosts: ${JSON.stringify(text)} is not the name or the address of a host: leave out http:// and the port`);
}
