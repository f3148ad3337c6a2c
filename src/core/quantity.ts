/** Amounts of CPU and memory, as numbers to compare and add. */

const FACTORS: Record<string, number> = {
  '': 1,
  m: 0.001,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

export type Quantity = string | number;

/** The amount in cores or in bytes. Throws a TypeError where the text is none; schemas have checked it before. */
export function amount(quantity: Quantity): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(String(quantity));
  const factor = FACTORS[match?.[2] ?? ''];
  if (!match || factor === undefined) throw new TypeError(`not an amount: ${quantity}`);
  return Number(match[1]) * factor;
}

/** Cores as Kubernetes writes them: whole thousandths. */
export const cores = (value: number): string => `${Math.round(value * 1000)}m`;

/** Bytes as Kubernetes writes them, in whole KiB, rounded up. */
export const bytes = (value: number): string => `${Math.ceil(value / 1024)}Ki`;
