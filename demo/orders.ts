/** Sample application: shows orders, and takes new ones once payments has been paid through the mesh. */
import { type Asked, type Reply, serveApplication } from './application.ts';
import { callThroughDoor } from './door.ts';

const ITEMS = ['apples', 'pears', 'plums', 'quinces'];
const PRICE = 25;

serveApplication('orders', (asked) => {
  if (asked.method === 'POST' && asked.path === '/orders') return takeOrder(asked);
  const id = Number(/^\/orders\/(\d{1,9})$/.exec(asked.path)?.[1] ?? Number.NaN);
  if (asked.method !== 'GET' || Number.isNaN(id)) return { status: 404, body: { error: 'GET /orders/1' } };
  return { status: 200, body: { order: id, item: ITEMS[id % ITEMS.length], quantity: 1 + (id % 5) } };
});

async function takeOrder({ body, traceparent }: Asked): Promise<Reply> {
  const { item, quantity } = (body ?? {}) as { item?: unknown; quantity?: unknown };
  if (typeof item !== 'string' || typeof quantity !== 'number') {
    return { status: 400, body: { error: 'expected {"item": "pears", "quantity": 2}' } };
  }
  const payment = await callThroughDoor(process.env.DOOR ?? '', {
    service: 'payments',
    method: 'POST',
    path: '/payments',
    body: { order: item, amount: quantity * PRICE },
    traceparent,
  });
  if (payment.status !== 201)
    return { status: payment.status, body: { error: 'not paid', because: payment.text } };
  return { status: 201, body: { item, quantity, ...JSON.parse(payment.text) } };
}
