/** Samples into figures. */

export interface Row {
  what: string;
  n: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** Figures in milliseconds, to a tenth. */
export function figuresOf(what: string, samples: readonly number[]): Row {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1));
  return { what, n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

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
