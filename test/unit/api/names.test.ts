import fc from 'fast-check';
import { expect, test } from 'vitest';
import { labelValue, podName } from '../../../src/api/names.ts';

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const objectName = fc.stringMatching(/^[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?$/);

test('the name of a pod is a DNS-1123 label, whatever the name of its run', () => {
  fc.assert(
    fc.property(objectName, fc.uuid(), (name, uid) => {
      const pod = podName({ name, uid });
      expect(pod.length).toBeLessThanOrEqual(63);
      expect(pod).toMatch(label);
    }),
  );
});

test('the same run always gives the same name, and another run of its name another', () => {
  fc.assert(
    fc.property(objectName, fc.uuid(), fc.uuid(), (name, one, other) => {
      expect(podName({ name, uid: one })).toBe(podName({ name, uid: one }));
      if (one !== other) expect(podName({ name, uid: one })).not.toBe(podName({ name, uid: other }));
    }),
  );
});

test('long names that begin alike are told apart in labels', () => {
  const long = 'a'.repeat(100);
  expect(labelValue(`${long}b`)).not.toBe(labelValue(`${long}c`));
  expect(labelValue(`${long}b`)).toHaveLength(63);
});
