import test from 'ava';
import { type Try, tryCall } from '../../src/cli/tried-call.ts';

type Came = Try<string>;

const ok: Came = { kind: 'answered', answer: { ok: true, response: 'done' } };
const nobody: Came = { kind: 'nobody' };
const refused = (code: 'denied' | 'not_leading' | 'conflict'): Came => ({
  kind: 'answered',
  answer: { ok: false, error: { code, message: code } },
});
const times = { takenMs: 60_000, answeredMs: 60_000, copyMs: 5, nextCopyMs: 5, pollMs: 1 };

/** A copy that somebody has and does not answer. */
const HANGS = 'hangs';

/** Calls are numbered as they are made; the script says what comes of each copy in turn. */
function scripted(script: readonly (Came | typeof HANGS)[]) {
  let made = 0;
  const sent: string[] = [];
  const make = async () => `call ${++made}`;
  const send = (call: string, timeoutMs: number): Promise<Came> => {
    const came = script[Math.min(sent.length, script.length - 1)]!;
    sent.push(call);
    if (came !== HANGS) return Promise.resolve(came);
    return new Promise((resolve) => setTimeout(resolve, timeoutMs, { kind: 'silence' }).unref());
  };
  return { make, send, sent };
}

test('what is answered is sent once, refusals too', async (t) => {
  for (const came of [ok, refused('conflict'), refused('denied')]) {
    const { make, send, sent } = scripted([came]);
    t.is(await tryCall(make, send, times), came);
    t.deepEqual(sent, ['call 1']);
  }
});

test('a call that nobody has taken, or who does not lead, is made anew until somebody does', async (t) => {
  const { make, send, sent } = scripted([nobody, refused('not_leading'), nobody, ok]);
  t.is(await tryCall(make, send, times), ok);
  t.deepEqual(sent, ['call 1', 'call 2', 'call 3', 'call 4']);
});

test('when nobody takes it in time, nothing was done; with no time there is one try', async (t) => {
  const forever = scripted([nobody]);
  t.is((await tryCall(forever.make, forever.send, { ...times, takenMs: 5 })).kind, 'nobody');
  const once = scripted([nobody]);
  t.is((await tryCall(once.make, once.send, { ...times, takenMs: 0 })).kind, 'nobody');
  t.is(once.sent.length, 1);
});

test('R1: while somebody has it and is silent, copies go out, and the first answer to any counts', async (t) => {
  const { make, send, sent } = scripted([HANGS, HANGS, nobody, ok]);
  t.is(await tryCall(make, send, times), ok);
  t.deepEqual(sent, ['call 1', 'call 1', 'call 1', 'call 1']);
});

test('R1: a copy that is refused as one is the last, and the answer to the first is waited for', async (t) => {
  const late = Promise.withResolvers<Came>();
  const sent: string[] = [];
  const send = (call: string): Promise<Came> => {
    sent.push(call);
    if (sent.length === 1) return late.promise;
    setTimeout(() => late.resolve(ok), 20);
    return Promise.resolve(refused('denied'));
  };
  t.is(await tryCall(async () => 'call', send, times), ok);
  t.is(sent.length, 2);
});

test('R1: if that answer never comes, it is not known what was done', async (t) => {
  const { make, send } = scripted([HANGS, refused('denied')]);
  t.is((await tryCall(make, send, { ...times, answeredMs: 50 })).kind, 'silence');
});

test('R2: when all copies have come back from where nothing was done, a new call is made', async (t) => {
  const hung = Promise.withResolvers<Came>();
  const sent: string[] = [];
  const send = async (call: string): Promise<Came> => {
    sent.push(call);
    if (sent.length === 1) return hung.promise;
    if (call === 'call 2') return ok;
    // It wakes up, has lost the lead meanwhile, and knows the second copy.
    hung.resolve(refused('not_leading'));
    return refused('denied');
  };
  let made = 0;
  t.is(await tryCall(async () => `call ${++made}`, send, times), ok);
  t.deepEqual(sent, ['call 1', 'call 1', 'call 2']);
});

test('a connection that breaks ends it at once', async (t) => {
  const failed: Came = { kind: 'failed', error: new Error('broken') };
  const { make, send, sent } = scripted([failed]);
  t.is(await tryCall(make, send, times), failed);
  t.is(sent.length, 1);
});
