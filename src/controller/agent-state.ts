/**
 * The state of an agent, as the controller sees it.
 *
 *   ─beat─▶ connected ──silence──▶ lost
 *              │  ▲ ◀────beat───────┘
 *          leave  beat (of a new session)
 *              ▼  │
 *             left ── silence changes nothing
 */
export type AgentState = 'connected' | 'lost' | 'left';
export type AgentEvent = 'beat' | 'leave' | 'silence';

const NEXT: Readonly<Record<AgentState, Readonly<Record<AgentEvent, AgentState>>>> = {
  connected: { beat: 'connected', leave: 'left', silence: 'lost' },
  lost: { beat: 'connected', leave: 'left', silence: 'lost' },
  left: { beat: 'connected', leave: 'left', silence: 'left' },
};

export const nextAgentState = (state: AgentState, event: AgentEvent): AgentState => NEXT[state][event];
