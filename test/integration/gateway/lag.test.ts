import { expect, test } from 'vitest';
import { watchLag } from '../../../src/roles/lag.ts';
import { systemClock } from '../../../src/runtime/clock.ts';

test('a process that is kept busy is late, and one that has caught up is not', async () => {
  using lag = watchLag(systemClock);
  const end = systemClock.monotonic() + 2000;
  while (systemClock.monotonic() < end) {
    const busyUntil = systemClock.monotonic() + 400;
    while (systemClock.monotonic() < busyUntil);
    await systemClock.sleep(0);
  }
  await systemClock.sleep(10);
  const whileBusy = lag.milliseconds();
  expect(whileBusy).toBeGreaterThan(150);
  for (let seconds = 0; seconds < 20 && lag.milliseconds() > whileBusy / 2; seconds++) await systemClock.sleep(1000);
  expect(lag.milliseconds()).toBeLessThan(whileBusy / 2);
});
