/** Requests to the gateway on loopback. */

import { setTimeout as sleep } from 'node:timers/promises';

/** POSTs `body`. A connection that is refused or cut is tried again for 10 seconds: a node port opens a little after its pod is ready. */
export async function postJson(url: string, body: object, timeout: number, signal: AbortSignal) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  for (let left = 20; ; left -= 1) {
    try {
      const response = await fetch(url, {
        ...options,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      if (left === 0 || !(error instanceof TypeError)) throw error;
      await sleep(500, undefined, { signal });
    }
  }
}

/** Does anything answer over HTTP at `url`? */
export async function answersHttp(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(3_000) });
    return true;
  } catch {
    return false;
  }
}
