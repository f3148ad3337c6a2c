import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Transcript, truncateUtf8 } from '../../../src/sandbox/transcript.ts';
import { anExit, aTranscript, RUN_UID } from '../../support/builders.ts';

const chunk = (path: string, offset: number, contentBase64: string | null, bytes = 6) => ({
  id: RUN_UID,
  artifact: { path, bytes, offset, contentBase64 },
});

test('output is kept up to its limit, stdout and stderr apart', () => {
  const transcript = new Transcript(RUN_UID, { outputBytes: 4, resultBytes: 0 });
  for (const stdout of ['ab', 'cde', 'f']) transcript.add({ id: RUN_UID, stdout });
  transcript.add({ id: RUN_UID, stderr: 'xyz' });
  expect(transcript).toMatchObject({ stdout: 'abcd', stdoutTruncated: true, stderr: 'xyz', stderrTruncated: false });
});

test('events of another run change nothing', () => {
  const transcript = aTranscript({ id: 'other', stdout: 'x' }, { id: 'other', started: {} });
  expect(transcript.stdout).toBe('');
});

test('nothing is added after the exit', () => {
  const transcript = aTranscript(anExit(), { id: RUN_UID, stdout: 'late' }, anExit({ exitCode: 9 }));
  expect(transcript).toMatchObject({ stdout: '', exit: { exitCode: 0 } });
});

test('the chunks of an artifact make its content', () => {
  const { artifacts } = aTranscript(chunk('a', 0, 'YWJj'), chunk('a', 3, 'ZGVm'));
  expect(artifacts).toEqual([{ path: 'a', bytes: 6, contentBase64: 'YWJjZGVm', inJournal: true }]);
});

test('an artifact that is too large for the status is in the journal', () => {
  const transcript = new Transcript(RUN_UID, { outputBytes: 0, resultBytes: 7 });
  transcript.add(chunk('a', 0, 'YWJj'));
  transcript.add(chunk('a', 3, 'ZGVm'));
  expect(transcript.artifacts).toEqual([{ path: 'a', bytes: 6, contentBase64: undefined, inJournal: true }]);
});

test('an artifact that the journal had no room for is nowhere', () => {
  const { artifacts } = aTranscript(chunk('a', 0, null));
  expect(artifacts).toEqual([{ path: 'a', bytes: 6, contentBase64: undefined, inJournal: false }]);
});

test('results and artifacts without end take bounded room', () => {
  const transcript = new Transcript(RUN_UID, { outputBytes: 0, resultBytes: 1000 });
  for (let i = 0; i < 10_000; i++) {
    transcript.add({ id: RUN_UID, result: { mime: { 'text/plain': 'x'.repeat(100) } } });
    transcript.add(chunk(`f${i}`, 0, 'YWJj'));
  }
  expect(JSON.stringify(transcript.results).length).toBeLessThan(1100);
  expect(transcript.artifacts).toHaveLength(256);
});

test('a cut text is a beginning of the text, within its limit, and whole characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (text, limit) => {
      const wellFormed = text.toWellFormed();
      const cut = truncateUtf8(wellFormed, limit);
      expect(wellFormed.startsWith(cut)).toBe(true);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(limit);
      const next = wellFormed.slice(cut.length);
      if (next)
        expect(
          Buffer.byteLength(cut) + Buffer.byteLength(String.fromCodePoint(next.codePointAt(0) ?? 0)),
        ).toBeGreaterThan(limit);
    }),
  );
});
