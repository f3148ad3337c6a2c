/** Tables and amounts, as a terminal shows them. */

import { printableLine } from './printable.ts';

/** Rows under a head; every cell is one harmless line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => printableLine(cell, 100)));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '';
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  return `${Math.floor(seconds / 60)}m${Math.round(seconds % 60)}s`;
}

/** How long ago `time` was, in its largest unit; empty where there is none. */
export function age(time: string | undefined, now: Date): string {
  const seconds = (now.getTime() - Date.parse(time ?? '')) / 1000;
  if (Number.isNaN(seconds)) return '';
  const [size, unit] = UNITS.find(([amount]) => Math.abs(seconds) >= amount) ?? [1, 's'];
  return `${Math.round(seconds / size)}${unit}`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'm'],
];

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const power = count < 1024 ** 2 ? 1 : 2;
  return `${(count / 1024 ** power).toFixed(1)} ${power === 1 ? 'KiB' : 'MiB'}`;
}
