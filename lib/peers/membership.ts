/**
 * Who is there. The static list: the addresses given at the start, and those of nodes that ping this one without being on its list,
 * so that two nodes whose lists differ still repair in both directions. Gossip will be another implementation of this interface.
 */
import { Member } from "./member.ts";

export interface Membership {
  /** In the order in which they became known. */
  members(): readonly Member[];
  find(address: string): Member | undefined;
  /** A node said that it listens there. Returns it when it is new and there is room for it. */
  learn(address: string, wallMs: number): Member | undefined;
  /**
   * The node that answers at a member's address is this one, by the number it drew at its start. One node may be reached by several
   * addresses, and addresses say little (every node may call itself localhost); counted twice, it would pass for two copies of a
   * write. So of two members that are one node one goes, the listed one last; and a member that is this node itself goes.
   */
  identify(member: Member, instance: string): void;
  /** Learned members that have not been heard for long go; listed ones stay. */
  forgetSilent(monotonicMs: number): void;
}

export interface StaticMembershipOptions {
  readonly self: string;
  /** The number that this node drew at its start. */
  readonly instance: string;
  readonly peers: readonly string[];
  readonly timeoutMs: number;
}

/** Learned members: enough for any cluster that has a static list, few enough that nobody can fill memory by pinging. */
export const LEARNED_MAX = 32;

/** Silence after which a learned member is forgotten: ten minutes, longer than a restart or an update of a machine. */
export const FORGET_AFTER_MS = 600_000;

export function createStaticMembership(options: StaticMembershipOptions, wallMs: number): Membership {
  const members = new Map<string, Member>();
  for (const address of options.peers) {
    if (address !== options.self) members.set(address, new Member(address, true, options.timeoutMs, wallMs));
  }
  const learnedCount = () => [...members.values()].filter((member) => !member.listed).length;
  return {
    members: () => [...members.values()],
    find: (address) => members.get(address),
    learn(address, nowWallMs) {
      if (address === "" || address === options.self || members.has(address) || learnedCount() >= LEARNED_MAX) return undefined;
      const member = new Member(address, false, options.timeoutMs, nowWallMs);
      members.set(address, member);
      return member;
    },
    identify(member, instance) {
      if (instance === options.instance) members.delete(member.address);
      if (instance === member.instance) return;
      member.instance = instance;
      for (const other of members.values()) {
        if (other !== member && other.instance === instance)
          members.delete(other.listed && !member.listed ? member.address : other.address);
      }
    },
    forgetSilent(monotonicMs) {
      for (const member of members.values()) {
        const silentMs = monotonicMs - member.lastHeardMs;
        if (!member.listed && !member.isUp && silentMs > FORGET_AFTER_MS) members.delete(member.address);
      }
    },
  };
}
