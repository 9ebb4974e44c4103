/** Of `npm run chaos`: the tests that kill what others depend on, one after another. `npm test` leaves them out. */
export default {
  files: ['test/chaos/**/*.test.ts'],
  extensions: ['ts'],
  concurrency: 1,
  timeout: '3m',
  workerThreads: false,
};
