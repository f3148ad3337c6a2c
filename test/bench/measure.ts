/** Samples into figures. */

export interface Row {
  what: string;
  n: number;
  p50: number;
  p95?: number;
  p99?: number;
  max?: number;
  unit: string;
}

const rounded = (value: number): number => Number(value.toFixed(value < 10 ? 2 : 1));

/** Figures in milliseconds. */
export function figuresOf(what: string, samples: readonly number[]): Row {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return { what, n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1), unit: 'ms' };
}

/** A figure of which there is only one. */
export const single = (what: string, value: number, unit: string): Row => ({ what, n: 1, p50: rounded(value), unit });

/** How long `once` takes, `times` times after one that is not counted, `pause` between two. */
export async function measure(
  what: string,
  times: number,
  once: () => Promise<number>,
  pause: () => Promise<void>,
): Promise<Row> {
  const samples: number[] = [];
  await once();
  for (let i = 0; i < times; i++) {
    await pause();
    samples.push(await once());
  }
  return figuresOf(what, samples);
}
