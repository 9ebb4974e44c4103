const HOUR_MS = 3_600_000;

/** Every limit of the data plane, in one table. Sizes in bytes, times in milliseconds. */
export const LIMITS = Object.freeze({
  /** A request or response head, start line included. Envoy's default is 60 KiB, nginx's 32 KiB. */
  headBytesMax: 64 * 1024,
  headerLinesMax: 100,
  /** What agents and routes may add to a head that was at its limits. */
  headBytesAddedMax: 8 * 1024,
  headerLinesAddedMax: 16,
  targetBytesMax: 8 * 1024,
  /** A chunk-size line with its extensions: long ones have only ever been used for attacks (CVE-2023-39326). */
  chunkLineBytesMax: 256,
  /** From the first byte of a head to its end: slowloris. */
  headTimeoutMs: 10_000,
  /** A downstream connection without a request. Longer than the usual clients' own limit. */
  downstreamIdleMs: 120_000,
  /** How long an application that has closed its sending half is still answered (it has most likely gone). */
  halfClosedMs: 1_000,
  /** What is read and dropped of a request whose response is complete already, so that it is not cut off by a reset. */
  discardBytesMax: 256 * 1024,
  discardMs: 2_000,
  responseHeadTimeoutMs: 15_000,
  streamIdleMs: 300_000,
  upstreamConnectMs: 1_000,
  /** Below the 5 s of Node's and the usual servers, so that the keep-alive race is rare (Linkerd). */
  upstreamIdleMs: 3_000,
  /** Connections to one local instance. */
  upstreamConnectionsMax: 1_024,
  /** How long a local instance that has refused is passed over. */
  upstreamAvoidMs: 1_000,
  /** Requests that wait for a connection to one local instance. */
  upstreamQueueMax: 1_024,
  streamsPerPeerMax: 1_000,
  /** What a sender may have in flight on one stream before it hears of credit. */
  streamWindowBytes: 256 * 1024,
  /** How far the window of a stream may grow whose reader waits for credit, and what all of them may grow by. */
  streamWindowMaxBytes: 1024 * 1024,
  windowGrowthMaxBytes: 32 * 1024 * 1024,
  windowGrowthMs: 50,
  /** A request that takes longer than this is acknowledged with ACCEPT. */
  acceptAfterMs: 50,
  /** A request that nobody has acknowledged after this is lost. */
  acceptTimeoutMs: 2_000,
  /** A packet older than this is refused; it also bounds what clock skew can be tolerated. */
  packetAgeMs: 10_000,
  /** A plaintext packet, frames and their heads; the bus's max_payload lowers it. */
  packetBytesMax: 256 * 1024,
  /** A body that is kept so that the request can be sent again. */
  retryBodyBytesMax: 64 * 1024,
  /** Clear header of a packet with the largest identity document, and the tag. */
  packetHeaderBytesMax: 16 * 1024,
  /** Turns of the event loop over which frames may be gathered while each brings more. */
  coalescingRoundsMax: 8,
  /** Packets over which the requests of one turn to one service are dealt. */
  packetSpreadMax: 8,
  /** How long a stopping agent waits for its last words to leave. */
  busCloseMs: 500,
  /** 1xx responses before the response. */
  informationalMax: 16,
  busDialMs: 2_000,
  busPingMs: 2_000,
  /** Pings without an answer after which the connection counts as lost. */
  busPingsMax: 2,
  /** Pause between attempts to get it back, and what is added at random. */
  busRedialMs: 200,
  busRedialJitterMs: 200,
  /** How long an agent's identity holds (it is renewed at two thirds of it), and how far ahead the clock of its issuer may be. */
  identityMs: 24 * HOUR_MS,
  identitySkewMs: 60_000,
  /** How long a service key is still opened with after the next one has begun: twice the age of packets. */
  serviceKeyOverlapMs: 20_000,
  /** A service key is replaced when it has been in use for this long. */
  serviceKeyMs: 30 * 24 * HOUR_MS,
  /** How long an agent's key still counts after another one has taken its place. */
  agentKeyOverlapMs: 60_000,
  /** A clock that differs by more from the controller's is said; one that differs by `packetAgeMs` is of no use. */
  skewToldMs: 2_000,
  /** How long the controller may take to answer a join or a renewal; the first pause after none, and the longest. */
  grantMs: 5_000,
  grantRetryMs: 1_000,
  joinRetryMaxMs: 10_000,
  renewalRetryMaxMs: 5 * 60_000,
  /** Over this, agents that start together spread their first renewals. */
  renewalSpreadMs: 1_000,
  /** Services of which a renewal asks for the revisions. */
  renewalServicesMax: 1_000,
  /** What an agent keeps of its identity, with the sealed keys of its services. */
  identityFileBytesMax: 2 * 1024 * 1024,
  /** A renewed identity goes along in every packet for this long, so that no single lost packet matters. */
  introduceMs: 60_000,
  /** Bytes of large packets after which the memory they leave behind is collected; smaller ones leave next to none. */
  bodyPacketBytesMin: 16 * 1024,
  garbageBytesMax: 1024 * 1024,
  /** Known peers (identity, keys, replay window), each some 2 KiB, and how many may be processes of one agent. */
  peersMax: 4_096,
  sessionsPerAgentMax: 16,
  /** Services that local applications have asked for (they may ask for any name), with their keys and endpoints. */
  servicesKnownMax: 4_096,
  /** Endpoints of one service that an agent keeps in mind. */
  endpointsMax: 1_000,
  /** Authorities whose service is remembered, per door. */
  authoritiesMax: 4_096,
  /** How often the bus picks although endpoints are known, so that new ones are found. */
  exploreMs: 1_000,
  /** Retry budget: a share of the requests of the window, and so many a second on top (Finagle, Linkerd). */
  retryWindowMs: 10_000,
  retryRatio: 0.2,
  retryPerSecond: 10,
  retriesMax: 1,
  backoffBaseMs: 25,
  backoffCapMs: 250,
  /** How long the first request to a service waits for its routes before it goes without. */
  snapshotWaitMs: 500,
  /** Routes of a service that nobody has called for this long are forgotten. */
  snapshotIdleMs: 10 * 60_000,
  /**
   * A regular expression of a route: what it may measure as text, and once its repetitions are written out; the
   * longest text that it fits; and the steps that all those together may take that one request is compared with:
   * some 15 ms of an agent that serves nobody else meanwhile.
   */
  patternCharactersMax: 4_096,
  patternStepsMax: 1_000,
  patternTextMax: 8 * 1024,
  patternWorkMax: 1_000_000,
  /** AuthorizationPolicies of one service, its own and the mesh's; and what one list in them may hold. */
  policiesMax: 1_000,
  policyListMax: 64,
  /** Pairs of a service and a rule that decisions are counted by; and decisions that are logged in a second. */
  decisionSeriesMax: 1_000,
  decisionsLoggedPerSecond: 20,
  /** Tokens of sessions that are looked at in one request. */
  sessionTokensMax: 16,
  /** How long an authorization service that a route asks may take to answer. */
  externalAuthMs: 5_000,
  /** A copy of a request: how long it may take in all, and what may wait to be sent of it. */
  mirrorMs: 15_000,
  mirrorWaitingBytesMax: 1024 * 1024,
  /** A snapshot or an endpoint list; also what NATS takes in one message by default. */
  publicationBytesMax: 1024 * 1024,
  /** Agents that are cut off, and that are to make new keys, in a trust list: more than `publicationBytesMax` has room for. */
  cutoffsMax: 25_000,
  /** How often what is held is compared with what is published, how long an answer may take, the first pause after none. */
  publicationRefreshMs: 30_000,
  publicationGetMs: 2_000,
  publicationRetryMs: 1_000,
  /** Publications that are asked for at the same time, so that a thousand at once do not flood the bus. */
  publicationGetsMax: 32,
  /** How long an endpoint that did not answer is passed over although it is published as ready. */
  endpointMissingMs: 5_000,
  /** A heartbeat, signed; and services of which nothing is published that it names all the same. */
  heartbeatBytesMax: 512 * 1024,
  /** What proves how far a store of the controllers had come, and how many of them a heartbeat may tell. */
  headProofBytesMax: 512,
  headProofsMax: 2,
  wantedToldMax: 256,
  /** Within this, changes are announced together. */
  announceDelayMs: 20,
  /** Heartbeats tell what is applied for this long after it changed, and each so many beats. */
  appliedToldMs: 5_000,
  appliedEveryBeats: 10,
  /** Services whose signed packets to one agent process are gathered at the same time. */
  signedLanesMax: 64,
  /** How long packets to a service are signed that has asked for it, although its snapshot does not say so. */
  signAskedMs: 30_000,
  /** One packet that is kept as evidence, as a line of text; and what may wait to be written. */
  evidenceLineBytesMax: 512 * 1024,
  evidenceWaitingBytesMax: 16 * 1024 * 1024,
  /** The evidence about one service that is kept: a file that is written to, and so many full ones. */
  evidenceFileBytesMax: 64 * 1024 * 1024,
  evidenceFilesFull: 4,
  servicesInMetricsMax: 1_000,
  failuresLoggedPerSecond: 20,
  /**
   * Connections to doors with a uid that wait to be told whose they are, how long that may take, and how often the
   * tables of sockets are read for one of them: what changes while they are read may be overlooked.
   */
  doorLookupsMax: 1_024,
  doorLookupMs: 5_000,
  doorLookupPassesMax: 4,
  /** How often a refused publication is logged at most. */
  refusalLogMs: 1_000,
  /** Resolution of the waits of requests, and of idle connections. */
  tickMs: 25,
  sweepMs: 1_000,
  /** Pause between attempts to reach NATS at the start. */
  redialMs: 250,
  drainMs: 30_000,
  /** The admin endpoint: few clients, none of them a browser with a slow user, one request each. */
  adminConnectionsMax: 64,
  adminConnectionMs: 10_000,
});
