import { createServer } from 'node:net';
import { parse } from 'yaml';

/** One instance of a sample application to start. */
export interface ApplicationPlan {
  readonly instance: string;
  readonly script: string;
  readonly port: number;
  /** `host:port` of the door of its workload; empty if it has none. */
  readonly door: string;
}

export interface DemoPlan {
  readonly natsPort: number;
  readonly admins: readonly string[];
  readonly applications: readonly ApplicationPlan[];
  /** Every port that has to be free, with what wants it. */
  readonly ports: ReadonlyMap<number, string>;
}

interface MeshFile {
  nats: { port: number };
  agents: {
    host: string;
    admin: string;
    workloads: { service: string; upstream?: string[]; listen?: string }[];
  }[];
}

/**
 * What the demo has to start besides the mesh, read from its mesh file so that the two cannot differ: one
 * application per upstream (`orders-v2` is orders again), and the frontend, which nobody in the mesh calls.
 * @param text of demo/mesh.yaml @param frontendPort where people reach the frontend
 */
export function planDemo(text: string, frontendPort: number): DemoPlan {
  const mesh = parse(text) as MeshFile;
  const ports = new Map([[mesh.nats.port, 'nats-server']]);
  const applications: ApplicationPlan[] = [];
  const addApplication = (service: string, instance: string, port: number, door: string) => {
    ports.set(port, `the application ${instance}`);
    const [name] = service.split('-v');
    applications.push({ instance, script: `${name}.ts`, port, door });
  };
  for (const agent of mesh.agents) {
    ports.set(portOf(agent.admin), `the admin endpoint of agent ${agent.host}`);
    for (const { service, upstream = [], listen = '' } of agent.workloads) {
      if (listen !== '') ports.set(portOf(listen), `the door of ${service}`);
      upstream.forEach((url, index) => {
        addApplication(service, `${service}-${index + 1}`, portOf(new URL(url).host), listen);
      });
      if (upstream.length === 0) addApplication(service, service, frontendPort, listen);
    }
  }
  const admins = mesh.agents.map(({ admin }) => admin);
  return Object.freeze({ natsPort: mesh.nats.port, admins, applications, ports });
}

/** The first of the ports that something else listens on already, with what wants it. */
export async function findBusyPort(ports: ReadonlyMap<number, string>): Promise<string | undefined> {
  for (const [port, purpose] of ports) {
    const failure = await new Promise<string | undefined>((resolve) => {
      const server = createServer();
      server.on('error', (error) => resolve(error.message));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)));
    });
    if (failure !== undefined) return `port ${port}, wanted for ${purpose}, cannot be used: ${failure}`;
  }
  return undefined;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
