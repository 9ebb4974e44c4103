import { runProgram } from './program.ts';

// The child of `weft agent` that reads its arguments and its files; see agent-plan.ts.
process.exit(await runProgram(['agent', ...process.argv.slice(2)]));
