/** One cell of the table in a process of its own, so that it can be ended when it takes too long and leaves no memory behind. */
import { runCell, type CellTask } from "./cell.ts";

await runCell(JSON.parse(process.argv[2] ?? "{}") as CellTask, (report) => process.send?.(report));
process.disconnect();
