/** When each code of a problem is answered, for the documentation; the compiler finds one that is missing. */

import { REASONS, type Reason } from '../api/reasons.ts';
import { ERROR_STATUS, type ErrorCode, isReason } from './problem.ts';

const MEANINGS: Record<ErrorCode, string> = {
  MalformedRequest: 'The request is not HTTP/1.1, or its URL is not encoded as it must be.',
  MalformedBody: 'The body is not JSON, or JSON that can be read two ways.',
  InvalidRequest: 'A field is unknown, missing or wrong; errors names each.',
  Unauthenticated: 'No credentials, or credentials that are not known or have expired.',
  Forbidden: 'You, or the gateway for you, may not do this in this namespace.',
  OriginNotAllowed: 'The request comes from a web page, which this gateway does not answer.',
  NetworkNotAllowed: 'Sandboxes with network are not offered to you.',
  PathNotAllowed: 'The path leads out of the working directory, or through a link.',
  ClassNotAllowed: 'Your API key may not use this SandboxClass.',
  RouteNotFound: 'There is nothing at this path.',
  RunNotFound: 'There is no such run in your namespace.',
  BatchNotFound: 'There is no such batch in your namespace.',
  ArtifactNotFound: 'The run has no such artifact (yet).',
  SessionNotFound: 'There is no such session in your namespace.',
  FileNotFound: 'There is nothing at this path in the session.',
  ContextNotFound: 'The session has no interpreter of this name (any more).',
  MethodNotAllowed: 'The path takes other methods; the header Allow names them.',
  RequestTimeout: 'The request came too slowly.',
  AlreadyExists: 'The name is taken.',
  NotAFile: 'What is at this path is no regular file.',
  NotAFolder: 'What is at this path, or on the way to it, is no folder.',
  FileExists: 'Something else is at this path; remove it first.',
  Interrupted: 'The request was interrupted, by you or by another client of the session.',
  PackagesNotOffered: 'The sandbox of the session reaches no package index.',
  RunDeleted: 'The run was deleted while you waited for it.',
  BatchDeleted: 'The batch was deleted while you waited for it.',
  SessionDeleted: 'The session was deleted while you waited for it.',
  ArtifactGone: 'The artifact was too large for the status, and went with its pod.',
  PageExpired: 'The list has grown too old to go on with; begin it again.',
  BodyTooLarge: 'The body is larger than the gateway or the cluster takes.',
  FileTooLarge: 'The file is larger than one may be.',
  UrlTooLong: 'A part of the path is longer than any name may be.',
  UnsupportedMediaType: 'The body is not application/json in UTF-8, or a file is compressed.',
  RefusedByCluster: 'The cluster refuses the object as it is.',
  IdempotencyKeyReused: 'The Idempotency-Key was sent with another body before.',
  TooManyFailures: 'Too many requests from your address had wrong credentials.',
  TooManyRequests: 'You or your namespace ask too often; the RateLimit headers say how often you may.',
  TooManyQueued: 'Too many runs and sessions of your namespace wait for a sandbox. Nothing was created.',
  TooManyConcurrentRuns: 'Your API key has as many unfinished runs, sessions included, as it may. Nothing was created.',
  TooManyRuns: 'A ResourceQuota of the namespace leaves no room. Nothing was created.',
  SessionBusy: 'Too many requests wait for their turn in the session already.',
  TooManyHeld: 'Too many requests of yours wait for runs or sessions already.',
  HeadersTooLarge: 'URL and headers together are larger than the gateway takes.',
  ClientClosedRequest: 'The client left; nobody reads this answer, but logs and metrics have it.',
  Internal: 'Something went wrong in the gateway; its log has more under the request id.',
  AgentNotConfigured: 'The gateway has no language model.',
  ModelFailed: 'The language model failed, or can not be reached.',
  SandboxFailed: 'The sandbox could not do this, or not to its end.',
  StateUnknown: 'The connection to the sandbox broke: what was asked may have been done in part.',
  ClusterUnavailable: 'The cluster does not answer as it should.',
  TooManyWaiting: 'Too many requests wait for runs or sessions already.',
  SessionStarting: 'The session is not ready yet.',
  SandboxUnreachable: 'The sandbox of the session does not answer at the moment. Nothing was done.',
  Overloaded: 'The gateway has more to do than it can.',
  ShuttingDown: 'This gateway is shutting down; another one will answer.',
  ModelBusy: 'The language model takes no more requests for now.',
  ModelTimeout: 'The language model did not answer in time.',
  DiskFull: 'The working directory of the session has no room for this.',
};

export const meaningOf = (code: ErrorCode | Reason): string =>
  isReason(code) ? REASONS[code].sentence : MEANINGS[code];

/** Every code of the request and the gateway, with its status, in the order of those. */
export const errorTable = (): { code: ErrorCode; status: number; meaning: string }[] =>
  (Object.keys(MEANINGS) as ErrorCode[]).map((code) => ({
    code,
    status: ERROR_STATUS[code],
    meaning: MEANINGS[code],
  }));
