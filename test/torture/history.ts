/** All faults together: every write that was acknowledged is accounted for, and every read shows only what may be seen. */
import { runCampaign, type CampaignFigures } from "./campaign.ts";

export function run(from: number, count: number, say: (line: string) => void): Promise<CampaignFigures> {
  return runCampaign({ name: "history", faults: ["kill", "network", "pause"], from, count, say });
}
