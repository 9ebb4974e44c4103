/** Whether the mesh is in order: what `weft check` prints, each line with what to do. */
import type { KV } from '@nats-io/kv';
import type { Check } from '../protocol/api.ts';
import type { WorkloadState } from '../protocol/heartbeat.ts';
import type { Audit } from './audit.ts';
import type { AgentRecord, Fleet } from './fleet.ts';
import type { Identities } from './identities/identities.ts';
import type { Incident, Incidents } from './incidents.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import type { Views } from './views.ts';

export interface CheckOptions {
  readonly buckets: Readonly<Record<string, KV>>;
  /** Servers of the NATS cluster that are known. */
  readonly servers: () => number;
  readonly leading: () => boolean;
  /** Who leads, if anybody is known to. */
  readonly leader: () => string | undefined;
  readonly fleet: Fleet;
  readonly policy: Policy;
  readonly publisher: Publisher;
  readonly views: Views;
  /** Entries of the buckets that somebody else had written, and heartbeats that had to be dropped. */
  readonly tampering: Incidents;
  /** Joins and renewals that were refused. */
  readonly refusals: Incidents;
  readonly identities: Identities;
  readonly floods: Incidents;
  readonly audit: Pick<Audit, 'waiting'>;
  readonly wallMs: () => number;
}

const NAMED_MAX = 10;

const ok = (name: string, message: string): Check => ({ name, result: 'ok', message, advice: '' });
const not = (name: string, result: 'warning' | 'failed', message: string, advice: string): Check => ({
  name,
  result,
  message,
  advice,
});

export async function checkMesh(options: CheckOptions): Promise<Check[]> {
  const checks = [controllerCheck(options)];
  for (const [name, bucket] of Object.entries(options.buckets)) {
    checks.push(await bucketCheck(`JetStream bucket ${name}`, bucket, options.servers()));
  }
  checks.push(policyCheck(options));
  checks.push(tamperingCheck(options.tampering.recent));
  const agents = [...options.fleet.agents.values()];
  checks.push(auditCheck(options.audit));
  checks.push(floodCheck(options.floods.recent));
  checks.push(connectedCheck(agents));
  const connected = agents.filter(({ state }) => state === 'connected');
  checks.push(namesakeCheck(connected, options.fleet));
  checks.push(currentCheck(connected, options.views));
  checks.push(releaseCheck(connected));
  checks.push(clockCheck(connected));
  checks.push(identityCheck(connected, options.wallMs()));
  checks.push(enrolmentCheck(options.identities.doubt, options.refusals.recent));
  checks.push(workloadCheck(connected));
  return checks;
}

function controllerCheck({ leading, leader }: CheckOptions): Check {
  const who = leader();
  if (leading()) return ok('controller', 'this controller leads');
  if (who !== undefined) return ok('controller', `controller ${who} leads, this one stands by`);
  return not(
    'controller',
    'failed',
    'no controller leads: nothing can be changed, and endpoint lists do not follow',
    'if it stays so for over 5 s, look at the logs of the controllers and at JetStream',
  );
}

async function bucketCheck(name: string, bucket: KV, servers: number): Promise<Check> {
  try {
    const { replicas, streamInfo } = await bucket.status();
    const wanted = servers >= 3 ? 3 : 1;
    if (replicas < wanted) {
      const advice = `nats stream edit ${streamInfo.config.name} --replicas ${wanted}`;
      return not(
        name,
        'warning',
        `${replicas} replica on ${servers} servers: it goes with its server`,
        advice,
      );
    }
    const peers = streamInfo.cluster?.replicas ?? [];
    const away = peers
      .filter(({ offline, current }) => offline === true || !current)
      .map((peer) => peer.name);
    if (away.length > 0) {
      return not(
        name,
        'warning',
        `replicas are away or behind: ${away.join(', ')}`,
        'look at these NATS servers',
      );
    }
    return ok(
      name,
      `${replicas} ${replicas === 1 ? 'replica' : 'replicas'}, ${streamInfo.state.messages} messages`,
    );
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return not(
      name,
      'failed',
      `it does not answer: ${message}`,
      'look at the NATS servers: nats server report jetstream',
    );
  }
}

/** A store in doubt, or one that was lost while what followed from it still holds. */
function policyCheck({ policy, publisher }: CheckOptions): Check {
  if (policy.doubt !== undefined) {
    return not(
      'policy',
      'failed',
      `${policy.doubt}: nothing can be changed, and what agents have holds`,
      'restore the newest backup of the policy bucket; or keep what is left (`weft get all -A -o yaml`), delete the bucket and apply all resources',
    );
  }
  if (policy.lost !== undefined) {
    const told = publisher.services('snapshot').filter((service) => publisher.tells(service));
    const published = told.length === 0 ? '' : `; of it the snapshots of ${named(told)} are still published`;
    return not(
      'policy',
      'failed',
      `the store was lost and made anew, and holds no resources; agents go on with change set ${policy.lost[1]} of the one before${published}`,
      'restore the policy bucket from a backup; or apply all resources again, in one `weft apply`: what is not among them is taken back then',
    );
  }
  const count = policy.resources.plain().size;
  return ok('policy', `${count} ${count === 1 ? 'resource' : 'resources'}`);
}

function tamperingCheck(recent: Incident | undefined): Check {
  if (recent === undefined)
    return ok('writers', 'nobody but controllers has written into the buckets lately');
  const last = new Date(recent.lastMs).toISOString();
  return not(
    'writers',
    'failed',
    `${recent.count} entries were not what controllers had written, last at ${last}, and were put right: ${named(recent.names)}`,
    'let nobody but controllers write $KV.weft-*: see the permissions of the NATS users, and who had those rights until then',
  );
}

function auditCheck({ waiting }: Pick<Audit, 'waiting'>): Check {
  if (waiting === 0) return ok('audit', 'no entry waits to be written');
  return not(
    'audit',
    'warning',
    `entries that wait to be written: ${waiting}; changes are made all the same`,
    'if it stays so, look at the audit stream: nats stream info WEFT_<mesh>_audit, and at the log of the controller',
  );
}

function floodCheck(recent: Incident | undefined): Check {
  if (recent === undefined) return ok('heartbeats', 'none had to be dropped lately');
  return not(
    'heartbeats',
    'warning',
    `${recent.count} were dropped because too many came, also under the names ${named(recent.names)}: whether these agents are gone cannot be said`,
    'let each agent publish only its own heartbeats: see the permissions of the NATS users, and `nats sub` the subjects weft.*.obs.health.*',
  );
}

/** Each of them would take the other's place. */
function namesakeCheck(agents: readonly AgentRecord[], fleet: Fleet): Check {
  const twice = agents.filter((record) => fleet.rivals(record) > 0);
  if (twice.length === 0) return ok('agent names', 'each is used once');
  const texts = twice.map((record) => `${record.agent} (${fleet.rivals(record) + 1} agents)`);
  return not(
    'agent names',
    'failed',
    `used more than once: ${named(texts)}; of each only the agent that came last is in the endpoint lists`,
    'give each agent a `host` of its own in agent.yaml, or stop those that were left running',
  );
}

function connectedCheck(agents: readonly AgentRecord[]): Check {
  const lost = agents.filter(({ state }) => state === 'lost').map(({ agent }) => agent);
  const connected = agents.filter(({ state }) => state === 'connected').length;
  if (lost.length > 0) {
    return not(
      'agents connected',
      'failed',
      `${named(lost)} went without a word; ${connected} are connected`,
      'look whether these hosts and their agents run, and whether they reach NATS',
    );
  }
  if (connected === 0) {
    return not('agents connected', 'warning', 'there are none', 'start one: weft agent -f agent.yaml');
  }
  return ok('agents connected', `${connected}`);
}

function currentCheck(agents: readonly AgentRecord[], views: Views): Check {
  const { holdings } = views;
  const astray = agents.flatMap((record) => {
    const names = holdings.astray(record);
    return names.length === 0 ? [] : [`${record.agent} (${named(names)})`];
  });
  if (astray.length > 0) {
    return not(
      'agents current',
      'failed',
      `hold snapshots that are not published, or newer ones: ${named(astray)}; what they do differs from what \`weft explain\` says`,
      'see the line policy first; if that is ok and this stays, the config bucket was set back: delete it (nats kv del weft-<mesh>-config), it is made anew and counts as newer',
    );
  }
  const behind = agents.filter((record) => holdings.behind(record).length > 0).map(({ agent }) => agent);
  if (behind.length === 0) return ok('agents current', 'all have applied what is published');
  return not(
    'agents current',
    'warning',
    `${named(behind)} hold older snapshots than the published ones`,
    'if it stays so, look at their logs: they say which snapshots they refuse and why',
  );
}

function releaseCheck(agents: readonly AgentRecord[]): Check {
  const releases = [...new Set(agents.map(({ release }) => release))].sort();
  if (releases.length <= 1) return ok('versions', releases[0] ?? 'no agents');
  return not('versions', 'warning', `agents run ${named(releases)}`, 'bring all to one release');
}

function clockCheck(agents: readonly AgentRecord[]): Check {
  const off = (limitMs: number) => agents.filter(({ skewMs }) => Math.abs(skewMs) > limitMs);
  const far = off(CONTROLLER_LIMITS.skewWarnMs);
  if (far.length === 0) return ok('clocks', `all within ${CONTROLLER_LIMITS.skewWarnMs} ms of this one`);
  const result = off(CONTROLLER_LIMITS.skewFailMs).length > 0 ? 'failed' : 'warning';
  const texts = far.map(({ agent, skewMs }) => `${agent} (${skewMs} ms)`);
  return not(
    'clocks',
    result,
    `off: ${named(texts)}`,
    'set up NTP there: packets with a wrong time are refused',
  );
}

function identityCheck(agents: readonly AgentRecord[], wallMs: number): Check {
  const soon = agents.filter(({ expiresAtMs }) => expiresAtMs - wallMs < CONTROLLER_LIMITS.identityWarnMs);
  if (soon.length === 0) return ok('identities', 'all valid for hours');
  const over = soon.some(({ expiresAtMs }) => expiresAtMs <= wallMs);
  return not(
    'identities',
    over ? 'failed' : 'warning',
    `${named(soon.map(({ agent }) => agent))} should have renewed their identity`,
    'restart these agents, and look at their logs and clocks',
  );
}

function enrolmentCheck(doubt: string | undefined, refused: Incident | undefined): Check {
  if (doubt !== undefined) {
    return not(
      'enrolment',
      'failed',
      `${doubt}: nobody can be enrolled or cut off, and what agents have holds until it expires`,
      'restore the newest backup of the identity bucket; docs/security.md says what to do without one',
    );
  }
  if (refused === undefined) return ok('enrolment', 'no join and no renewal was refused lately');
  return not(
    'enrolment',
    'warning',
    `${refused.count} joins and renewals were refused: ${named(refused.names)}`,
    'a token that somebody else has used was stolen: `weft revoke agent/HOST`',
  );
}

function workloadCheck(agents: readonly AgentRecord[]): Check {
  const all = agents.flatMap(({ agent, workloads }) => workloads.map((workload) => ({ agent, ...workload })));
  const are = (state: WorkloadState) => all.filter((one) => one.state === state);
  const ill = are('unhealthy');
  const starting = are('starting');
  if (ill.length + starting.length === 0) return ok('workloads', `${all.length}, none unhealthy`);
  const said = [...ill, ...starting].map(({ agent, service, state, reason }) => {
    return `${service} on ${agent} is ${state} (${reason})`;
  });
  const served = new Set(are('ready').map(({ service }) => service));
  const down = ill.some(({ service }) => !served.has(service));
  return not('workloads', down ? 'failed' : 'warning', named(said), 'look at these applications');
}

function named(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return `${names.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
