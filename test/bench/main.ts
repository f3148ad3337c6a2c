/**
 * `npm run bench`: how long things take in the cluster of `npm run cluster -- env`, beside the floors that Kubernetes and
 * gVisor set, measured in the same minutes. Prints a table, and the same as JSON on the last line. With arguments, only the
 * parts named. Bounded: a few hundred pods, at most a hundred at a time, and ten thousand small objects.
 */

import { close } from './cluster.ts';
import type { Row } from './measure.ts';
import { PARTS } from './parts.ts';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((part) => !(part in PARTS));
if (unknown.length > 0)
  throw new Error(`No such part: ${unknown.join(', ')}. There are ${Object.keys(PARTS).join(', ')}.`);
try {
  const rows: Row[] = [];
  for (const [name, part] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    for (const row of await part()) {
      rows.push(row);
      process.stderr.write(`${row.what}: ${row.p50} ${row.unit}\n`);
    }
  }
  console.table(rows);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
} finally {
  await close();
}
