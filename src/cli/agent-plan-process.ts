import { watchOutput } from './command-output.ts';
import { runProgram } from './program.ts';

// The child of `weft agent` that reads its arguments and its files; see agent-plan.ts.
const output = watchOutput();
await output.end(await runProgram(['agent', ...process.argv.slice(2)]));
