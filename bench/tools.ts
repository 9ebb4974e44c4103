import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Programs that the bench runs and does not bring, with what needs them and how to get them. */
const TOOLS = Object.freeze({
  wrk: 'the load generator of the closed loop; Debian and Ubuntu: apt-get install wrk, others: build github.com/wg/wrk',
  nginx: 'the path that everything is compared with; Debian and Ubuntu: apt-get install nginx-light',
  haproxy: 'one of the paths; Debian and Ubuntu: apt-get install haproxy',
});
export type Tool = keyof typeof TOOLS;

/** The tools that are not on `path`, each with what it is for and how to get it. */
export async function missingTools(path: string): Promise<Map<Tool, string>> {
  const missing = new Map<Tool, string>();
  for (const [name, use] of Object.entries(TOOLS) as [Tool, string][]) {
    const found = await Promise.all(path.split(delimiter).map((folder) => isProgram(join(folder, name))));
    if (!found.includes(true)) missing.set(name, use);
  }
  return missing;
}

function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
