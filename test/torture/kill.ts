/** kill -9 under load: whatever a node has acknowledged it shows when it is back, and in the end all nodes show it. */
import { runCampaign, type CampaignFigures } from "./campaign.ts";

export function run(from: number, count: number, say: (line: string) => void): Promise<CampaignFigures> {
  return runCampaign({ name: "kill", faults: ["kill"], from, count, say });
}
