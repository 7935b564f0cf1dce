/** What a console talks to: the node of its own process, or one that runs elsewhere. */
import { encodeKey, type Client } from "../../lib/client.ts";
import type { KvValue, NodeStatus, RunningNode } from "../../lib/serve.ts";
import type { Backend, Version } from "./commands.ts";

/** A peer is there or it is not: what is neither yet counts as not. */
function nodesOf(self: string, peers: NodeStatus["peers"]): { readonly name: string; readonly status: string }[] {
  const others = peers.map(({ name, address, status }) => {
    return { name: name === "" ? address.replace(/^https?:\/\//, "") : name, status: status === "alive" ? "alive" : "dead" };
  });
  return [{ name: self, status: "alive" }, ...others];
}

function versionOf(dot: string, node: string): Version {
  return { node, counter: Number(dot.slice(dot.indexOf(":") + 1)) };
}

export function backendOfNode({ kv, name }: Pick<RunningNode, "kv" | "name">): Backend {
  const textOf = ({ contentType, value }: KvValue): string =>
    contentType === "" ? Buffer.from(value).toString("utf8") : `${value.length} bytes of ${contentType}`;
  return {
    get(key) {
      const value = kv.get(key);
      if (value === undefined) return Promise.resolve(undefined);
      const versions = kv
        .why(key)
        .writes.filter(({ isExpired }) => !isExpired)
        .map(({ value: { dot, writer } }) => versionOf(dot, writer));
      return Promise.resolve({ text: textOf(value), versions });
    },
    async put(key, text) {
      await kv.write([{ key, value: Buffer.from(text, "utf8") }]);
    },
    async delete(key) {
      return (await kv.write([{ key, value: undefined }])).changed[0] === true;
    },
    nodes: () => Promise.resolve(nodesOf(name, kv.status().peers)),
    keys: (prefix, limit) => Promise.resolve(kv.list({ prefix, limit }).entries.map(({ key }) => key)),
  };
}

export function backendOfClient(client: Client, name: string): Backend {
  return {
    async get(key) {
      const text = await client.getText(key);
      if (text === undefined) return undefined;
      const why = await client.request("GET", `/v1/why/${encodeKey(key)}`);
      const { writes } = JSON.parse(why.text) as {
        readonly writes: readonly { readonly dot: string; readonly node: string; readonly expired?: boolean }[];
      };
      return { text, versions: writes.filter(({ expired }) => expired !== true).map(({ dot, node }) => versionOf(dot, node)) };
    },
    put: (key, text) => client.putText(key, text).then(() => undefined),
    delete: (key) => client.delete(key),
    async nodes() {
      return nodesOf(name, (await client.status()).peers);
    },
    async keys(prefix, limit) {
      const { text } = await client.request("GET", `/v1/kv?prefix=${encodeKey(prefix)}&limit=${limit}`);
      return (JSON.parse(text) as { readonly entries: readonly { readonly key: string }[] }).entries.map(({ key }) => key);
    },
  };
}
