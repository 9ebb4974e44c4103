import { EXIT } from './exit.ts';

/** What a command has written on stdout and stderr, which outlives what it did: a pipe takes 64 KiB at a time. */
export interface CommandOutput {
  /**
   * Ends the process when all of it has been taken. A reader that has gone away (`weft get … | head`) has what it wanted; if
   * stdout cannot be written for another reason, a full disk say, then what is there is not whole: exit code 1.
   */
  end(code: number): Promise<never>;
}

/** Watches them from now on: a stream that fails with nobody listening would end the process with a stack trace. */
export function watchOutput(): CommandOutput {
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error) => {
    failure ??= error;
  });
  // There is nobody left who could be told.
  process.stderr.on('error', () => {});

  return Object.freeze({
    async end(code: number): Promise<never> {
      // A reader that hangs holds this up, but nobody who has had enough of it.
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.removeAllListeners(signal);
      await taken(process.stdout);
      const isLost = failure !== undefined && failure.code !== 'EPIPE';
      if (isLost) {
        process.stderr.write(
          `weft: stdout cannot be written (${failure?.code}): what was printed is not whole\n`,
        );
      }
      await taken(process.stderr);
      process.exit(isLost && code === EXIT.done ? EXIT.refused : code);
    },
  });
}

/** Resolves when everything that was written so far has been taken, or never will be. */
function taken(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength > 0) stream.write('', () => resolve());
    // What has just failed is told in a moment.
    else setImmediate(resolve);
  });
}
