/** A clock that only a test moves. */
export class TestClock {
  nowMs = 1_000;
  readonly now = (): number => this.nowMs;
}
