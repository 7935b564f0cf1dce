/** How far a suite has come that takes minutes or hours: a line every minute. */
const EVERY_MS = 60_000;

/** To be called after each case, with how many are done. */
export function progressOf(count: number, say: (line: string) => void): (done: number) => void {
  const beganMs = performance.now();
  let saidMs = beganMs;
  return (done) => {
    const nowMs = performance.now();
    if (nowMs - saidMs < EVERY_MS) return;
    saidMs = nowMs;
    say(`${done} of ${count} after ${Math.round((nowMs - beganMs) / EVERY_MS)} min`);
  };
}
