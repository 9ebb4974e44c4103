import type { Session } from '../snapshot.ts';

/** By what sessions are known and when they end, for people: `cookie sid at /, permanent, for at most 300000 ms`. */
export function sessionText(session: Session): string {
  const { name, absoluteMs } = session;
  const end = absoluteMs === undefined ? '' : `, for at most ${absoluteMs} ms`;
  if (session.type === 'Header') return `header ${name}${end}`;
  return `cookie ${name} at ${session.path}${session.permanent ? ', permanent' : ''}${end}`;
}
