/** Sample application: takes payments up to 1,000. Called by orders, calls nobody. */
import { serveApplication } from './application.ts';

const AMOUNT_MAX = 1_000;

serveApplication('payments', ({ method, path, body, caller }) => {
  if (method !== 'POST' || path !== '/payments') return { status: 404, body: { error: 'POST /payments' } };
  const { order, amount } = (body ?? {}) as { order?: unknown; amount?: unknown };
  if (typeof amount !== 'number') return { status: 400, body: { error: 'amount must be a number' } };
  if (amount > AMOUNT_MAX) return { status: 402, body: { error: `no more than ${AMOUNT_MAX}` } };
  return {
    status: 201,
    body: { payment: `payment-of-${order}`, amount, paidBy: caller ?? 'somebody outside the mesh' },
  };
});
