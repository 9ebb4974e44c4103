import type { DemoPlan } from './plan.ts';
import type { Step } from './transcript.ts';

/** As it is named in this checkout. */
const CONTEXT = 'demo/.weft/context.json';

/** The requests that the demo shows: through the door of frontend as an application would, and as a customer. */
export function stepsOf(plan: DemoPlan, frontendPort: number): Step[] {
  const door = doorOf(plan, 'frontend');
  const from = 'frontend';
  const orders = { from, door, service: 'orders' };
  const order = (quantity: number) => ({
    method: 'POST',
    path: '/orders',
    body: { item: 'pears', quantity },
  });
  return [
    { ...orders, method: 'GET', path: '/orders/1', expected: 200 },
    { ...orders, method: 'GET', path: '/orders/2', expected: 200 },
    { ...orders, method: 'GET', path: '/orders/3', expected: 200 },
    { ...orders, ...order(2), expected: 201 },
    { ...orders, ...order(200), expected: 402 },
    { ...orders, method: 'GET', path: '/nowhere', expected: 404 },
    {
      from,
      door,
      service: 'payments',
      method: 'POST',
      path: '/payments',
      body: { order: 1, amount: 5 },
      expected: 201,
    },
    {
      from: 'customer',
      door: `127.0.0.1:${frontendPort}`,
      service: 'shop',
      method: 'GET',
      path: '/orders/4',
      expected: 200,
    },
  ];
}

/** What a newcomer can do while the demo runs. */
export function whatToTry(plan: DemoPlan, frontendPort: number): string {
  const door = doorOf(plan, 'frontend');
  const admin = plan.admins[0] ?? '';
  return `
It keeps running until Ctrl-C. Try, in another terminal in this folder:

  # as the frontend, through its door: the service in Host, or the door as a proxy
  curl -i -H 'Host: orders' http://${door}/orders/7
  http_proxy=http://${door} curl -i http://orders/orders/7
  curl -i -H 'Host: orders' http://${door}/orders --json '{"item": "pears", "quantity": 2}'

  # as a customer, who knows nothing of the mesh
  curl -i http://127.0.0.1:${frontendPort}/orders/7

  # a refusal that explains itself
  curl -i -H 'Host: nobody' http://${door}/

  # policy: one request in ten to orders-v2; what becomes of a request, and why; is the mesh in order?
  bin/weft apply -f demo/canary.yaml --wait --context ${CONTEXT}
  bin/weft explain GET http://orders/orders/7 --from frontend --context ${CONTEXT}
  bin/weft check --context ${CONTEXT}

  # what the agent of web-1 counts and knows
  curl http://${admin}/metrics
  curl http://${admin}/config

  # the packets on the bus, sealed (nats is the NATS command-line client)
  nats sub -s nats://127.0.0.1:${plan.natsPort} 'weft.shop.>'
`;
}

function doorOf(plan: DemoPlan, service: string): string {
  return plan.applications.find(({ instance }) => instance === service)?.door ?? '';
}
