import { describe, expect, test } from 'vitest';
import { REASONS, type Reason } from '../../../src/api/reasons.ts';
import { isEnded, RunView, runSummary, runView } from '../../../src/gateway/run-view.ts';
import { aRun, aStatus } from '../../support/builders.ts';

describe('runView', () => {
  test.each(Object.keys(REASONS) as Reason[])('says of %s what its row says', (reason) => {
    const run = aRun({}, { status: aStatus(reason) });
    const { state, retrySafe, sentence, succeeded } = REASONS[reason];
    expect(runView(run)).toEqual({ name: 'hello', namespace: 'tenant', state, reason, message: sentence, retrySafe });
    expect([isEnded(run), RunView.safeParse(runView(run)).success]).toEqual([succeeded !== 'Unknown', true]);
  });

  test.each([
    ['True', 'succeeded'],
    ['False', 'failed'],
    ['Unknown', 'queued'],
  ] as const)('understands a reason of a newer controller with status %s', (status, state) => {
    const [condition] = aStatus('Queued').conditions ?? [];
    if (!condition) throw new Error('a status has a condition');
    const run = aRun({}, { status: { conditions: [{ ...condition, status, reason: 'Novel', message: 'x' }] } });
    expect(runView(run)).toMatchObject({ state, reason: 'Novel', message: 'x', retrySafe: false });
  });

  test('calls a run without a status queued', () => {
    expect(runView(aRun())).toMatchObject({ state: 'queued', reason: 'Queued' });
  });

  test('leaves out what is no result', () => {
    const status = { ...aStatus('Completed'), observedGeneration: 1, invented: 'x' };
    expect(Object.keys(runView(aRun({}, { status })))).toEqual([
      'name',
      'namespace',
      'state',
      'reason',
      'message',
      'retrySafe',
    ]);
  });
});

test('runSummary leaves out what may be large', () => {
  const status = aStatus('Completed', { stdout: 'x', stderr: 'x', results: [], artifacts: [], exitCode: 0 });
  const { stdout, stderr, results, artifacts, ...rest } = runView(aRun({}, { status }));
  expect(runSummary(aRun({}, { status }))).toEqual(rest);
});
