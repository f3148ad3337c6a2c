/** Says on stderr what is being done, how far it is and how long it has taken: a live line on a terminal, else now and then a line. */

export interface Progress {
  /** Announces `count` more steps. */
  expect(count: number): void;
  /** Runs `work` as the next step. It may report details, such as the last line of a build's output. */
  step<T>(title: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T>;
  /** The next step has nothing to do. */
  skip(title: string, why: string): void;
  /** A line between the steps. */
  say(text: string): void;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const LIVE_EVERY = 250;
const LINE_EVERY = 15_000;

/** `now` gives milliseconds from any fixed point. */
export function createProgress(output: Output, now: () => number): Progress {
  const live = output.isTTY === true;
  let started = 0;
  let expected = 0;
  const number = () => `[${started}/${Math.max(expected, started)}]`;
  const write = (text: string) => output.write(`${live ? '\r\x1b[K' : ''}${text}\n`);

  return {
    expect(count) {
      expected += count;
    },
    skip(title, why) {
      started += 1;
      write(`${number()} ${title}: ${why}`);
    },
    say: write,
    async step(title, work) {
      started += 1;
      const begin = now();
      let detail = '';
      const show = () => {
        const line = `${number()} ${title} … ${duration(now() - begin)}${detail === '' ? '' : `  ${detail}`}`;
        output.write(live ? `\r\x1b[K${line.slice(0, (output.columns ?? 80) - 1)}` : `${line.slice(0, 200)}\n`);
      };
      if (live) show();
      else output.write(`${number()} ${title} …\n`);
      const timer = setInterval(show, live ? LIVE_EVERY : LINE_EVERY);
      try {
        const result = await work((text) => {
          // Others' output: kind's has pictures in it, whose width nobody knows.
          detail = text.replace(/[^\x20-\x7e]+/g, ' ').trim();
        });
        write(`${number()} ${title}: done in ${duration(now() - begin)}`);
        return result;
      } catch (error) {
        write(`${number()} ${title}: FAILED after ${duration(now() - begin)}`);
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Milliseconds as a person says them: `0.4 s`, `12 s`, `2 min 05 s`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}
