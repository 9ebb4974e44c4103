import test from 'ava';
import fc from 'fast-check';
import { isLabel } from '../../src/protocol/names.ts';
import {
  apiSubject,
  configBucket,
  counterOfReply,
  heartbeatSubject,
  instanceSubject,
  publicationGetSubject,
  publicationKey,
  publicationRepublish,
  publicationSubject,
  QUEUE,
  receiveSubject,
  repliesSubject,
  replySubject,
  serviceSubject,
} from '../../src/protocol/subjects.ts';
import { counter, label, session } from './arbitraries.ts';

const SESSION = '0123456789abcdef';

test('subjects and queue group are those that operators give permissions for', (t) => {
  t.is(serviceSubject('shop', 'orders.default'), 'weft.shop.svc.default.orders');
  t.is(instanceSubject('shop', 'orders.default', 'web-1'), 'weft.shop.ins.default.orders.web-1');
  t.is(receiveSubject('shop', 'web-1', SESSION), `weft.shop.rx.web-1.${SESSION}`);
  t.is(replySubject(receiveSubject('shop', 'web-1', SESSION), 7), `weft.shop.rx.web-1.${SESSION}.7`);
  t.is(repliesSubject(receiveSubject('shop', 'web-1', SESSION)), `weft.shop.rx.web-1.${SESSION}.*`);
  t.is(QUEUE, 'weft');
});

test('where the controller and what it publishes is found does not change either', (t) => {
  t.is(apiSubject('shop', 'apply'), 'weft.shop.api.apply');
  t.is(heartbeatSubject('shop', 'web-1'), 'weft.shop.obs.health.web-1');
  t.is(configBucket('shop'), 'weft-shop-config');
  t.is(publicationSubject('shop', 'snapshot', 'orders.default'), 'weft.shop.cfg.snapshot.default.orders');
});

test('what the bucket republishes, and its direct get, are about the same key', (t) => {
  const { src, dest } = publicationRepublish('shop');
  const heard = publicationSubject('shop', 'endpoints', 'orders.default');
  const stored = src.replace('>', heard.slice(dest.length - 1));
  t.is(stored, '$KV.weft-shop-config.endpoints.default.orders');
  t.is(
    publicationGetSubject('shop', 'endpoints', 'orders.default'),
    `$JS.API.DIRECT.GET.KV_weft-shop-config.${stored}`,
  );
});

test('every name has a key of its own, whose tokens are DNS labels', (t) => {
  t.is(publicationKey('snapshot', 'orders.example.com'), 'snapshot.example.com.orders');
  const name = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join('.'));
  fc.assert(
    fc.property(name, name, (a, b) => {
      const [kind, ...tokens] = publicationKey('snapshot', a).split('.');
      t.is(kind, 'snapshot');
      t.true(tokens.every(isLabel));
      t.is(publicationKey('snapshot', a) === publicationKey('snapshot', b), a === b);
    }),
  );
});

test('a reply subject says which packet it is about', (t) => {
  fc.assert(
    fc.property(label, label, session, counter, (mesh, agent, id, number) => {
      t.is(counterOfReply(replySubject(receiveSubject(mesh, agent, id), number)), number);
    }),
  );
});

test('a subject that is about no packet has no number', (t) => {
  t.is(counterOfReply('weft.shop.svc.default.orders'), Number.NaN);
});
