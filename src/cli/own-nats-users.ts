/** Who may use the nats-server of `weft up`, kept in step with who is in the mesh. */
import type { Logger } from 'pino';
import type { BusUsers } from '../controller/controller.ts';
import { createNatsConfigFile } from '../nats/config-file.ts';
import { ensureNatsKeys } from './nats-keys.ts';
import { ownNatsConfig, ownUsers } from './own-nats.ts';

/** @param folder of the mesh */
export async function keepOwnNats(folder: string, mesh: string, log: Logger) {
  const own = ownUsers(await ensureNatsKeys(folder));
  const file = createNatsConfigFile({
    options: ownNatsConfig(folder, mesh),
    delay(ms, then) {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
    written: (result) => log.debug({ result }, 'permissions of NATS'),
    failed: (error) =>
      log.error({ err: error }, 'the permissions of NATS could not be written; trying again'),
  });
  return Object.freeze({
    tell({ agents, operators }: BusUsers) {
      file.update({ ...own, agents, operators: [...operators, ...own.operators] });
    },
    stop: () => file.stop(),
  });
}
