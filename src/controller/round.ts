/** Does something again and again, and never while it is still being done. @returns what ends it */
export function createRound(everyMs: number, task: () => Promise<void>): () => void {
  let running = false;
  const timer = setInterval(async () => {
    if (running) return;
    running = true;
    await task();
    running = false;
  }, everyMs);
  return () => clearInterval(timer);
}
