import { type Answer, type Call, callThroughDoor } from './door.ts';

/** A request of the demo and the status that it has to get. */
export interface Step extends Call {
  readonly from: string;
  readonly door: string;
  readonly expected: number;
}

/**
 * Sends the requests one after the other and shows each as one line.
 * @returns how many did not get the status that was expected
 */
export async function showTraffic(steps: readonly Step[], print: (line: string) => void): Promise<number> {
  let failures = 0;
  print(row('status', 'from', 'request', 'answered by', 'time'));
  for (const step of steps) {
    const startedAt = performance.now();
    const answer = await callThroughDoor(step.door, step).catch(
      (error: Error): Answer => ({ status: 0, instance: '-', text: error.message }),
    );
    const ms = (performance.now() - startedAt).toFixed(1);
    const asked = `${step.method} http://${step.service}${step.path}`;
    print(row(String(answer.status || 'none'), step.from, asked, answer.instance, `${ms} ms`));
    if (answer.status === step.expected) continue;
    failures += 1;
    print(`       expected ${step.expected}: ${answer.text.trim().slice(0, 300)}`);
  }
  return failures;
}

function row(status: string, from: string, asked: string, instance: string, time: string): string {
  return `${status.padEnd(7)} ${from.padEnd(9)} ${asked.padEnd(36)} ${instance.padEnd(12)} ${time.padStart(8)}`;
}
