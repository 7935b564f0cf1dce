/**
 * A node inside a program: without a port, mounted in the program's own server or called by the program alone.
 *
 *   const node = await createNode({ address: "http://localhost:3000/kv", peers: ["http://localhost:8002"], folder: "data" });
 *   app.route("/kv", node.app);
 *
 * Its peers reach it through that server, at the server's address and the path of the mount; that is all that they need to know. So the
 * address is one truth for both: what the peers call and where the program mounts.
 */
import { createMounted, type Mounted } from "../api/mounted.ts";
import { ConcordError } from "../core/errors.ts";
import { startOn, type RunningNode } from "../serve.ts";
import { openAccess } from "./access.ts";
import { baseUrl, checkNodeOptions, type NodeOptions } from "./options.ts";

export interface EmbedOptions extends Omit<NodeOptions, "tls" | "peers"> {
  /** The base URL of the program's server with the path of the mount: http://localhost:3000/kv. A node with peers needs one. */
  readonly address?: string | undefined;
  /** Base URLs of the peers; none by default. */
  readonly peers?: readonly string[] | undefined;
}

export interface EmbeddedNode extends Omit<RunningNode, "port" | "url">, Pick<Mounted, "app" | "fetch"> {}

/** Of a node that nobody else knows. */
const NO_ADDRESS = "http://localhost";

/** Rejects with ConcordError: `invalid` (an option), and what the storage refuses with. */
export async function createNode(given: EmbedOptions = {}): Promise<EmbeddedNode> {
  const options = { ...given, peers: given.peers ?? [] };
  checkNodeOptions(options);
  if (options.peers.length > 0 && options.address === undefined) {
    const message = "a node with peers needs the address at which they reach it: that of the program's server, with the path of the mount";
    throw new ConcordError("invalid", `${message}, such as http://localhost:3000/kv`);
  }
  const peers = options.peers.map((peer) => baseUrl(peer, "peer", {}));
  const address = baseUrl(options.address ?? NO_ADDRESS, "the address", {});
  const ownMachineOnly = options.clusterKeyFile === undefined && options.insecure !== true;
  const access = openAccess(options);
  const mounted = createMounted({ path: new URL(address).pathname.replace(/\/$/, ""), ownMachineOnly });
  const server = { ...mounted, port: 0, url: address, renew: () => undefined };
  const { port: _port, url: _url, ...node } = await startOn({ server, access, peers, address }, options);
  return { ...node, app: mounted.app, fetch: (request) => mounted.fetch(request) };
}
