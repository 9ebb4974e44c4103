const HOUR_MS = 3_600_000;

/** Every limit of the controller, in one table. Sizes in bytes, times in milliseconds. */
export const CONTROLLER_LIMITS = Object.freeze({
  /** Revisions of a resource that are kept. */
  historyMax: 64,
  /** And of who is enrolled. */
  identityHistoryMax: 8,
  /** Earlier sessions of an agent that are remembered, to know if they go on beside the present one. */
  formerSessionsMax: 8,
  /** Keys of the policy bucket that are looked at; who can write there may have written any number. */
  keysMax: 50_000,
  /** Those of them that a leader takes away before it goes on with something else. */
  strangeKeysAtOnce: 500,
  /** How long `check` tells of entries that somebody else had written. */
  tamperedToldMs: HOUR_MS,
  /** What `check` and logs name of such things. */
  incidentsNamedMax: 10,
  /** Writes of somebody else that one write of ours is tried against. */
  writeTriesMax: 8,
  agentsMax: 10_000,
  /** Join tokens that can be open at a time. */
  tokensMax: 10_000,
  /** A used or expired token is remembered for this long after its time, so that its second use is known as one. */
  tokenForgottenMs: 30 * 24 * HOUR_MS,
  /** Agents that an answer names where it counts many. */
  agentsNamedMax: 20,
  /**
   * Heartbeats that wait to be checked (some 0.3 ms each): of one agent; of one, and of how many, that nobody has heard of yet;
   * bytes of all of them, and of one that is taken even then because nothing else of its agent waits.
   */
  beatsPerAgentMax: 4,
  beatsPerStrangerMax: 2,
  strangersWaitingMax: 2_048,
  beatBytesWaitingMax: 64 * 1024 * 1024,
  beatBytesSmall: 4 * 1024,
  /** How long `check` tells that heartbeats had to be dropped. */
  floodToldMs: 60_000,
  servicesMax: 20_000,
  /** Snapshots that one agent says it holds, and that are published anew for it alone, in one term. */
  takenBackPerAgentMax: 100,
  /** A service of which nobody has heard for this long is no longer known; its routes lose it as a backend. */
  serviceForgottenMs: 24 * HOUR_MS,
  /** How long the endpoints of an agent that fell silent are still told of, and `apply --wait` waits for it. */
  lostToldMs: 10 * 60_000,
  /** An agent that is gone for this long is no longer listed. */
  agentForgottenMs: 24 * HOUR_MS,
  /**
   * The audit stream: how long it keeps entries, and bytes of all of them; what of an entry is written (longer ones go without
   * before and after); and entries, with their bytes, that wait for the stream if it is away.
   */
  auditAgeMs: 90 * 24 * HOUR_MS,
  auditBytesMax: 128 * 1024 * 1024,
  auditEntryBytesMax: 256 * 1024,
  auditWaitingMax: 4_096,
  auditWaitingBytesMax: 16 * 1024 * 1024,
  /** Refusals that are written in a minute; anybody can bring them about, and they must not push changes out of the stream. */
  auditRefusalsPerMinuteMax: 30,
  /** And refused joins and renewals that are logged in a second. */
  refusalsLoggedPerSecond: 5,
  auditRetryMs: 1_000,
  /** How long a controller that stops still tries to write what waits. */
  auditStopMs: 1_000,
  /** Operators that are known or revoked, and credentials of one of them that have not expired. */
  operatorsMax: 1_000,
  credentialsPerOperatorMax: 16,
  /**
   * Calls that are remembered, so that none is carried out twice; more than that within their time are refused: of all editors
   * together, or of the root; and of one operator's key.
   */
  noncesMax: 100_000,
  noncesPerOperatorMax: 2_000,
  /** Agents' clocks may be this far from ours before `check` warns, and before it fails: packets are refused at 10 s. */
  skewWarnMs: 1_000,
  skewFailMs: 5_000,
  identityWarnMs: 2 * HOUR_MS,
  /** Items of one page of a list; and what an answer takes besides them. */
  pageBytesMax: 512 * 1024,
  pageOverheadBytes: 4 * 1024,
  httpBodyBytesMax: 2 * 1024 * 1024,
  httpRequestMs: 10_000,
  httpConnectionsMax: 64,
  /** How far the clock by which a bucket was made may be ahead of ours. */
  bucketAheadMs: 5 * 60_000,
  readAllMs: 30_000,
  /** Below the time that a lease is trusted, so that a leader that gets no answers hears of it in its term. */
  bucketAnswerMs: 2_000,
});

/** What passes between two events of the controller; shorter ones make tests fast. */
export interface Timing {
  /** How often the lease is renewed, or looked at. */
  readonly leaseRenewMs: number;
  /** Unchanged for this long, a lease may be taken over. */
  readonly leaseMs: number;
  /** How long the leader counts on a renewal; shorter than `leaseMs`, so that it stops before another one starts. */
  readonly leaseTrustMs: number;
  /** Silence after which an agent counts as lost. */
  readonly agentLeaseMs: number;
  readonly sweepMs: number;
  /** How long changes of the fleet are gathered before they are published. */
  readonly gatherMs: number;
  /** How long what is known of the fleet may be newer than what is kept of it. */
  readonly keepMs: number;
  /** How often the leader looks whether somebody else has written into the buckets. */
  readonly auditMs: number;
  /** From when a service key is replaced until callers use the next one: by then whoever serves has it. */
  readonly keyLeadMs: number;
  /** The same if an agent was cut off, which has the one before. */
  readonly keyLeadRevokedMs: number;
  /** How often the leader looks whether its buckets can have replicas that they lack, the first time when it has begun. */
  readonly replicasMs: number;
}

export const TIMING: Timing = Object.freeze({
  leaseRenewMs: 1_000,
  leaseMs: 3_000,
  leaseTrustMs: 2_500,
  agentLeaseMs: 3_000,
  sweepMs: 250,
  gatherMs: 20,
  keepMs: 1_000,
  auditMs: 2_000,
  keyLeadMs: 10_000,
  keyLeadRevokedMs: 2_000,
  replicasMs: 60_000,
});
