/**
 * What `evidence: signed` costs: both ends of a request over a bus in memory, signed and unsigned in turns, with one
 * request under way and with 32. Processor time of all that an agent does for it but the write to its disk.
 *
 *     scripts/node bench/evidence.ts [requests]
 */
import { Ear, HEAD, Network, SERVICE } from '../test/link/pair.ts';

const REQUESTS = Number(process.argv[2] ?? 20_000);
const ROUNDS = 5;

/** Processor µs per request. */
async function measure(signed: boolean, together: number): Promise<number> {
  const network = new Network();
  if (signed) network.demanding.add(SERVICE);
  const back = network.join('back', [SERVICE], [SERVICE]);
  const front = network.join('front', ['checkout.default']);
  // As callers ask one that is listed; what is for any endpoint is always signed.
  const endpoint = front.keyring.verify(back.keyring.document);
  const run = async (requests: number) => {
    for (let sent = 0; sent < requests; sent += together) {
      const ears = Array.from({ length: together }, () => {
        const ear = new Ear();
        front.link.openToInstance(SERVICE, endpoint, HEAD, true, ear, signed);
        return ear;
      });
      while (back.served.length < together) await turn();
      for (const { stream } of back.served.splice(0))
        stream.sendResponse('200 OK\r\ncontent-length: 0\r\n', true);
      while (ears.some(({ heard }) => heard.length === 0)) await turn();
      network.bus.published.length = 0;
      back.proven.length = 0;
      front.proven.length = 0;
    }
  };
  await run(2_000);
  const before = process.cpuUsage();
  await run(REQUESTS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / REQUESTS;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

for (const together of [1, 32]) {
  const plain: number[] = [];
  const signed: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    plain.push(await measure(false, together));
    signed.push(await measure(true, together));
  }
  const [without, including] = [median(plain), median(signed)];
  const more = including - without;
  process.stdout.write(
    `${together} under way: ${without.toFixed(1)} µs unsigned, ${including.toFixed(1)} µs signed, ${more.toFixed(1)} µs more\n`,
  );
}
