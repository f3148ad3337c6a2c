/** Building blocks of the schemas: each bound is said once and holds for HTTP, for TypeScript and for the CRD. */

import { z } from 'zod';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** A validation in CEL, as the API server runs it. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** Attaches the same rule twice: as CEL for the API server and as a predicate for everything in this program. */
export function withRule<T extends z.ZodType>(schema: T, cel: CelRule, holds: (value: z.output<T>) => boolean): T {
  const meta = schema.meta() ?? {};
  const rules = (meta['x-kubernetes-validations'] as CelRule[] | undefined) ?? [];
  const checked = schema.refine((value) => holds(value as z.output<T>), { message: cel.message });
  return checked.meta({ ...meta, 'x-kubernetes-validations': [...rules, cel] }) as T;
}

/** Attaches a CEL rule that compares with the old object; only the API server can check it. */
export function withTransition<T extends z.ZodType>(schema: T, cel: CelRule): T {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-validations': [cel] }) as T;
}

/** A name of an object: DNS-1123 label, so that it may also stand in a pod's name or a label. */
export const ObjectName = z
  .string()
  .min(1)
  .max(63)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    'must be lower-case letters, digits and "-", beginning and ending with a letter or digit',
  );

/** An amount of CPU or memory as Kubernetes writes it: `500m`, `1`, `512Mi`. */
export const Quantity = z
  .union([z.string().min(1).max(32), z.int().min(0).max(1_000_000_000_000)])
  .refine((value) => typeof value === 'number' || /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(value), {
    message: 'must be an amount such as 500m, 1, 512Mi or 2Gi',
  })
  .meta({
    'x-kubernetes-int-or-string': true,
    pattern: '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$',
  });

/** A text that can be passed to a program: the kernel's strings end at a NUL. */
export const withoutNul = (schema: z.ZodString): z.ZodString =>
  withRule(
    schema,
    { rule: "!self.contains('\\u0000')", message: 'must not hold the character NUL' },
    (text) => !text.includes('\0'),
  );

/** A path of a file, relative and below the working directory. */
export const RelativePath = withRule(
  withoutNul(z.string().min(1).max(1024)),
  {
    rule: "!self.startsWith('/') && !self.split('/').exists(part, part == '' || part == '.' || part == '..')",
    message: 'must be a relative path below the working directory, without ".", ".." or empty parts',
  },
  (path) => !path.startsWith('/') && !path.split('/').some((part) => ['', '.', '..'].includes(part)),
);

const FORBIDDEN_ENV = /^(LD_.*|PYTHON.*|KUBERNETES_.*|PATH)$/;

/** The name of an environment variable that a program may be given. */
export const EnvName = withRule(
  z
    .string()
    .min(1)
    .max(256)
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and "_", not beginning with a digit'),
  {
    rule: "!self.matches('^(LD_.*|PYTHON.*|KUBERNETES_.*|PATH)$')",
    message: 'must not be PATH nor begin with LD_, PYTHON or KUBERNETES_',
  },
  (name) => !FORBIDDEN_ENV.test(name),
);

/** A package to install: name, extras and version specifiers of PEP 508, nothing else. */
export const PackageRequirement = z
  .string()
  .min(1)
  .max(256)
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?((===|==|~=|!=|<=|>=|<|>)[A-Za-z0-9.*+!_-]+(,(===|==|~=|!=|<=|>=|<|>)[A-Za-z0-9.*+!_-]+)*)?$/,
    'must be a package name with optional extras and versions, such as humanize==4.9.0; no URLs, paths or options',
  );

/** Bytes of a text in UTF-8; bounds in the API are in bytes where a store or a line is bounded. */
export const utf8Bytes = (text: string): number => Buffer.byteLength(text, 'utf8');

/** Bytes of `object` as the API server stores it: Go's encoder writes five characters as \uXXXX that JavaScript's leaves alone. */
export function storedBytes(object: object): number {
  const text = JSON.stringify(object);
  const ascii = text.match(/[<>&]/g)?.length ?? 0;
  const separators = text.match(/[\u2028\u2029]/g)?.length ?? 0;
  return Buffer.byteLength(text) + 5 * ascii + 3 * separators;
}
