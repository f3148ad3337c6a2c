import { expect, test } from 'vitest';
import { keepOomScore, queueByXtables } from '../../cluster/patches.ts';

const AGENT = `import (
	"github.com/google/nftables/expr"
)
	queue := &expr.Queue{Num: uint16(c.config.QueueID)}
	if c.config.FailOpen {
		queue.Flag = expr.QueueFlagBypass
	}
`;

test('every queue of the policy agent becomes a target of xtables, which drops what nobody judges', () => {
  const patched = queueByXtables(AGENT);
  expect(patched).toContain('"github.com/google/nftables/xt"');
  expect(patched).toContain('expr.Target{Name: "NFQUEUE", Rev: 0, Info: &nfq}');
  expect(patched).not.toContain('expr.Queue{');
});

test("gVisor's shim keeps its OOM score", () => {
  expect(keepOomScore('const oomScoreMax = -999')).toBe('const oomScoreMax = 0');
});

test.each([
  ['the policy agent', () => queueByXtables('package x')],
  ["gVisor's shim", () => keepOomScore('package x')],
])('a source of %s that the patch does not fit stops the build', (_name, patch) => {
  expect(patch).toThrow('does not fit');
});
