/** Which SandboxClasses a caller may use. */

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
