import type { RequestListener } from 'node:http';
import type { ExecutionContext } from 'ava';
import { startApplication, startMesh, startRawApplication, type TestAgent, type TestMesh } from './mesh.ts';
import { dial, RawPeer } from './raw-peer.ts';

/** A mesh with one door, to which each test adds applications of its own, on an agent of their own. */
export interface Crossing {
  readonly mesh: TestMesh;
  readonly front: TestAgent;
  readonly door: number;
  /** A connection to the door; it ends with the test. */
  dial(t: ExecutionContext): Promise<RawPeer>;
  /** A service whose connections the test answers byte by byte. Returns its name. */
  raw(t: ExecutionContext, play: (peer: RawPeer) => Promise<void>): Promise<string>;
  /** A service on node:http. Returns its name. */
  http(t: ExecutionContext, listener: RequestListener): Promise<string>;
  /** A service whose instances listen at these ports. Returns its name. */
  at(ports: readonly number[]): Promise<string>;
}

export async function startCrossing(): Promise<Crossing> {
  const mesh = await startMesh();
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  let services = 0;
  const at = async (ports: readonly number[]): Promise<string> => {
    const name = `s${services++}`;
    await mesh.add(`back-${name}`, [{ service: `${name}.default`, ports }]);
    return name;
  };
  return {
    mesh,
    front,
    door: front.door,
    at,
    async dial(t) {
      const peer = await dial(front.door);
      t.teardown(() => peer.socket.destroy());
      return peer;
    },
    async raw(t, play) {
      const application = await startRawApplication((socket) => {
        // What a test does not read to its end is cut off when the test is over.
        play(new RawPeer(socket)).catch(() => socket.destroy());
      });
      t.teardown(application.stop);
      return at([application.port]);
    },
    async http(t, listener) {
      const application = await startApplication(listener);
      t.teardown(application.stop);
      return at([application.port]);
    },
  };
}
