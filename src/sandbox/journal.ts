/** The journal of a run: the log of its sandbox pod, which holds every event that the agent sent. */

import { lines } from './lines.ts';
import { parseEvent } from './protocol.ts';
import { Transcript, type TranscriptLimits } from './transcript.ts';

/** How much of a log is read: the journal's bound, and room for what belongs to no run. */
export const JOURNAL_READ_BYTES = 10 * 1024 * 1024;

/** The transcript of the run `id`, from the log of its pod. Lines that are no events of it are passed over. */
export async function readJournal(
  log: AsyncIterable<Uint8Array>,
  id: string,
  limits: TranscriptLimits,
): Promise<Transcript> {
  const transcript = new Transcript(id, limits);
  for await (const line of lines(log)) {
    const event = parseEvent(line);
    if (event) transcript.add(event);
  }
  return transcript;
}
