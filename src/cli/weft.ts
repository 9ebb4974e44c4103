import { watchOutput } from './command-output.ts';

/**
 * The weft command. `agent` goes its own way: it stays, and must not carry the command line's and the
 * configuration's parsers for the rest of its life, nor streams that its log, written straight to the file, would have to share.
 */
const [command, ...rest] = process.argv.slice(2);
if (command === 'agent') {
  const code = await (await import('./agent.ts')).agent(rest);
  await watchOutput().end(code);
} else {
  const output = watchOutput();
  await output.end(await (await import('./program.ts')).runProgram(process.argv.slice(2)));
}
