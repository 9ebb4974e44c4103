/** Sample application: what people see. Hands every request on to orders, through its own door. */
import { serveApplication } from './application.ts';
import { callThroughDoor } from './door.ts';

serveApplication('frontend', async ({ method, path, body, traceparent }) => {
  const answer = await callThroughDoor(process.env.DOOR ?? '', {
    service: 'orders',
    method,
    path,
    body,
    traceparent,
  });
  return {
    status: answer.status,
    body: { shop: 'Weft & Daughters', answeredBy: answer.instance, text: answer.text },
  };
});
