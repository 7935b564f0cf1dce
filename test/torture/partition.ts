/** Cut, slow, one-way and trickling networks between the nodes, and nodes that are halted for a while: afterwards all agree, nothing is lost, nothing comes back. */
import { runCampaign, type CampaignFigures } from "./campaign.ts";

export function run(from: number, count: number, say: (line: string) => void): Promise<CampaignFigures> {
  return runCampaign({ name: "partition", faults: ["network", "network", "pause"], from, count, say });
}
