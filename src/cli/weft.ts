/**
 * The weft command. `agent` goes its own way: it stays, and must not carry the command line's and the
 * configuration's parsers for the rest of its life.
 */
const [command, ...rest] = process.argv.slice(2);
const code =
  command === 'agent'
    ? await (await import('./agent.ts')).agent(rest)
    : await (await import('./program.ts')).runProgram(process.argv.slice(2));
process.exit(code);
