/** Which SandboxClasses there are, and which of them a caller may use. */

import { SANDBOX_CLASSES } from '../../api/group.ts';
import type { ReplSession } from '../../api/replsession.ts';
import { isNotFound } from '../../kube/error.ts';
import type { Kube } from '../../kube/port.ts';
import type { Caller } from '../plugins/identify.ts';
import { fieldError, Problem } from '../problem.ts';

/** The class to use where `className` is asked for; throws a `Problem` that names `field` where the caller may not use it. */
export function allowedClass(
  { classes }: Pick<Caller, 'classes'>,
  className: string | undefined,
  field: string,
): string | undefined {
  if (!classes) return className;
  if (className === undefined) return classes[0];
  if (classes.includes(className)) return className;
  const errors = [fieldError('body', field, `must be one of ${classes.join(', ')}`)];
  throw new Problem('ClassNotAllowed', `${field}: your API key may use the classes ${classes.join(', ')} only.`, {
    errors,
  });
}

/** Throws a `Problem` where `session`, which others of the namespace may have made, is of a class that the caller may not use. */
export function checkClassOf({ classes }: Pick<Caller, 'classes'>, { spec }: Pick<ReplSession, 'spec'>): void {
  if (!classes || (spec.className !== undefined && classes.includes(spec.className))) return;
  const detail = `The session is of another class; your API key may use the classes ${classes.join(', ')} only.`;
  throw new Problem('ClassNotAllowed', detail);
}

export const classExists = (kube: Kube, name: string): Promise<boolean> =>
  kube.get(SANDBOX_CLASSES, undefined, name).then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );
