/** What a fault proxy can be asked to do, and to which messages. */

import type { IncomingMessage } from 'node:http';

/** A request, or a line that is sent to an attached container. */
export interface Message {
  /** The request's, or `STDIN`. */
  method: string;
  namespace: string | undefined;
  /** In the plural, such as `pods`. */
  resource: string;
  name: string | undefined;
  subresource: string | undefined;
  query: URLSearchParams;
  userAgent: string;
  body: string;
}

/** Before the API server has seen the request, or after it has answered and before the client knows. */
export type When = 'before' | 'after';

export type Fault =
  | { type: 'answer'; status: number; reason: string; retryAfterSeconds?: number }
  /** The body of a list as it was once. */
  | { type: 'list'; body: string }
  | { type: 'cut'; when: When }
  /** What is called may have the connection cut in the end. */
  | { type: 'call'; when: When; call: () => Promise<'cut' | undefined> };

export interface Rule {
  match: (message: Message) => boolean;
  /** How many that match are let through first (0). */
  skip?: number;
  /** How many are harmed then (all). */
  times?: number;
  fault: Fault;
}

export interface WatchedEvent {
  type: string;
  object: { kind?: string; metadata: { name: string; uid?: string } };
}

export interface EventFault {
  match: (watch: Message) => boolean;
  delayMilliseconds?: number;
  /** How often an event is passed on: 0 drops it. */
  copies?: (event: WatchedEvent) => number;
}

/** Whether `rule` is to be applied to `message`; counts it. */
export function isAsked(rule: Rule, message: Message): boolean {
  if (!rule.match(message) || rule.times === 0) return false;
  if (rule.skip) {
    rule.skip -= 1;
    return false;
  }
  if (rule.times !== undefined) rule.times -= 1;
  return true;
}

const PATH =
  /^\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<resource>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;

export function messageOf({ method = 'GET', url = '/', headers }: IncomingMessage, body: string): Message {
  const { pathname, searchParams: query } = new URL(url, 'http://localhost');
  const { namespace, resource = '', name, subresource } = PATH.exec(pathname)?.groups ?? {};
  return { method, namespace, resource, name, subresource, query, userAgent: headers['user-agent'] ?? '', body };
}

/** Such as `PUT coderuns/status`: what a message is about, without whom it is about. */
export const kindOf = ({ method, resource, subresource }: Message): string =>
  `${method} ${resource}${subresource ? `/${subresource}` : ''}`;
