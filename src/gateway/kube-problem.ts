/** What a refusal by the API server means to a client, with nothing of its text: that may hold values and insides. */

import { SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import { isAlreadyExists, isQuotaExceeded, type KubeError } from '../kube/error.ts';
import { fieldError, Problem } from './problem.ts';

const BUSY_MILLISECONDS = 1000;
const QUOTA_SECONDS = 10;

/** `retrySafe`: whether the request can't have done anything yet where the cluster does not say that it refused it. */
export function kubeProblem(error: KubeError, retrySafe: boolean): Problem {
  const cause = { cause: error };
  if (isAlreadyExists(error)) return taken(error);
  if (isQuotaExceeded(error))
    return new Problem('TooManyRuns', 'A quota of the namespace leaves no room for another run; delete runs or wait.', {
      ...cause,
      retryAfterSeconds: QUOTA_SECONDS,
    });
  switch (error.code) {
    case 403:
      return new Problem(
        'Forbidden',
        'The cluster does not allow this in your namespace; ask its administrator.',
        cause,
      );
    case 413:
      return tooLarge(error);
    case 400:
    case 422:
      return refused(error);
    default:
      return unavailable(error, retrySafe);
  }
}

const taken = (cause: KubeError): Problem =>
  new Problem('AlreadyExists', 'This name is taken already; choose another name or leave it out.', {
    errors: [fieldError('body', 'name', 'is taken')],
    cause,
  });

export function tooLarge(cause?: KubeError): Problem {
  const detail = `The request is larger than ${SPEC_LIMIT_BYTES} bytes as the cluster stores it; send less code or files.`;
  return new Problem('BodyTooLarge', detail, { cause });
}

/** Field paths in the API server's own words: `CodeRun.coderun.dev "x" is invalid: spec.env[0].name: Invalid value: …`. */
const REFUSED_FIELD = /is invalid: \[?spec\.([A-Za-z0-9_.[\]]{1,200}): /;

function refused(cause: KubeError): Problem {
  const path = REFUSED_FIELD.exec(cause.message)?.[1];
  if (path === undefined)
    return new Problem('RefusedByCluster', 'The cluster refused the request as it is.', { cause });
  const field = path.replaceAll('[', '.').replaceAll(']', '');
  return new Problem('RefusedByCluster', `The cluster refused the field ${field}; correct it and send it again.`, {
    errors: [fieldError('body', field, 'was refused by the cluster')],
    cause,
  });
}

/** What etcd, and the API server's client of it, say of an object that is too large: with code 500. */
const TOO_LARGE = /request is too large|message larger than max/;

function unavailable(cause: KubeError, retrySafe: boolean): Problem {
  if (TOO_LARGE.test(cause.message)) return tooLarge(cause);
  const { retryAfterMilliseconds = BUSY_MILLISECONDS } = cause;
  return new Problem('ClusterUnavailable', 'The cluster does not answer as it should; try again in a moment.', {
    cause,
    retryAfterSeconds: Math.ceil(retryAfterMilliseconds / 1000),
    retrySafe,
  });
}
