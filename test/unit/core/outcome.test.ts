import { expect, test } from 'vitest';
import { STATUS_LIMIT_BYTES } from '../../../src/api/coderun.ts';
import { fitStatus, resultStatus } from '../../../src/core/outcome.ts';
import { anExit, aTranscript, RUN_UID } from '../../support/builders.ts';

const size = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
const big = 'x'.repeat(STATUS_LIMIT_BYTES);

test('a result has everything that the agent said, and nothing that it did not', () => {
  const exit = anExit({ exitCode: 1, error: { name: 'E', value: 'v', traceback: 't' } });
  const transcript = aTranscript(
    { id: RUN_UID, stdout: 'out' },
    { id: RUN_UID, result: { mime: { 'text/plain': '1' } } },
    exit,
  );
  expect(resultStatus(transcript)).toEqual({
    stdout: 'out',
    stderr: '',
    output: { stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
    exitCode: 1,
    error: { name: 'E', value: 'v', traceback: 't' },
    results: [{ mime: { 'text/plain': '1' } }],
    durationMilliseconds: 12,
    usage: { cpuMilliseconds: 3, peakMemoryBytes: 1000 },
  });
});

test('a status that fits stays as it is', () => {
  const status = { stdout: 'x', artifacts: [{ path: 'a', bytes: 1, contentBase64: 'YQ==' }] };
  expect(fitStatus(status)).toBe(status);
});

test('artifacts are the first to stay in the journal', () => {
  const status = { stdout: 'x', artifacts: [{ path: 'a', bytes: 1, contentBase64: big }] };
  expect(fitStatus(status)).toEqual({ stdout: 'x', artifacts: [{ path: 'a', bytes: 1, inJournal: true }] });
});

test('results go next', () => {
  expect(fitStatus({ stdout: 'x', results: [{ mime: { 'text/plain': big } }] })).toEqual({ stdout: 'x' });
});

test('control characters that swell in JSON are cut to what an object may hold', () => {
  const output = { stdoutBytes: 1, stderrBytes: 1, stdoutTruncated: false, stderrTruncated: false };
  const cut = fitStatus({ stdout: '\u0001'.repeat(131_072), stderr: '', output });
  expect(size(cut)).toBeLessThanOrEqual(STATUS_LIMIT_BYTES);
  expect(cut.stdout?.length).toBeGreaterThan(60_000);
  expect(cut.output?.stdoutTruncated).toBe(true);
});

test('what the API server escapes is counted as it stores it', () => {
  expect(fitStatus({ results: [{ mime: { 'text/html': '<'.repeat(STATUS_LIMIT_BYTES / 6) } }] })).toEqual({});
});
