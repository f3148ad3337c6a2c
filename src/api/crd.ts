/** From a zod schema to a CustomResourceDefinition: the structural schema that the API server enforces. */

import { z } from 'zod';
import { CATEGORY, GROUP, type ResourceType, VERSION } from './group.ts';

type JsonSchema = Record<string, unknown>;

interface CrdOptions {
  type: ResourceType;
  shortName: string;
  description: string;
  spec: z.ZodType;
  status?: z.ZodType;
  /** Fields of the spec that may be changed; every other one gets a rule that keeps it. */
  mutable?: readonly string[] | 'all';
  /** Fields of the spec that hold so many parts that rules on each would cost more than the API server allows: it gets none. */
  costly?: readonly string[];
  /** Whether `kubectl scale` and autoscalers work on it. */
  scale?: boolean;
  columns: readonly PrinterColumn[];
  /** Paths of fields that lists can be asked for by value. */
  selectable?: readonly string[];
}

export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'boolean' | 'date';
  jsonPath: string;
  description: string;
  priority?: number;
}

const NAME_RULE = { rule: 'self.metadata.name.size() <= 63', message: 'metadata.name must have 63 characters or less' };

const SCALE = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.status.selector',
};

/** Conditions, as every object of this group carries them. */
const CONDITIONS: JsonSchema = {
  type: 'array',
  maxItems: 16,
  description: 'What is known of the object, one entry a type.',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
    properties: {
      type: { type: 'string', maxLength: 316, description: 'Type of the condition.' },
      status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether the condition holds.' },
      reason: { type: 'string', minLength: 1, maxLength: 1024, description: 'Why, in one word for programs.' },
      message: { type: 'string', maxLength: 32_768, description: 'Why, in a sentence for people.' },
      observedGeneration: {
        type: 'integer',
        format: 'int64',
        minimum: 0,
        description: 'Generation of the spec that this speaks of.',
      },
      lastTransitionTime: { type: 'string', format: 'date-time', description: 'When the status last changed.' },
    },
  },
};

/** The CustomResourceDefinition, ready to be written as YAML. Throws where a field has no description. */
export function customResourceDefinition(options: CrdOptions): JsonSchema {
  const { type, shortName, columns } = options;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${type.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: type.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind: type.kind,
        listKind: `${type.kind}List`,
        plural: type.plural,
        singular: type.kind.toLowerCase(),
        shortNames: [shortName],
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: objectSchema(options) },
          ...(options.status && { subresources: { status: {}, ...(options.scale && { scale: SCALE }) } }),
          additionalPrinterColumns: columns,
          ...(options.selectable && { selectableFields: options.selectable.map((jsonPath) => ({ jsonPath })) }),
        },
      ],
    },
  };
}

function objectSchema({ type, description, spec, status, mutable = [], costly = [] }: CrdOptions): JsonSchema {
  const specSchema = structural(spec, 'spec');
  const fields = specSchema['properties'] as JsonSchema;
  for (const field of costly) fields[field] = withoutRules(fields[field]);
  specSchema['description'] = `What the ${type.kind} should be.`;
  if (mutable !== 'all') addImmutability(specSchema, mutable);
  return {
    type: 'object',
    description,
    required: ['spec'],
    // Names become labels and parts of names of pods.
    ...(type.namespaced && { 'x-kubernetes-validations': [NAME_RULE] }),
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
      kind: { type: 'string', description: 'Kind of this object.' },
      metadata: { type: 'object' },
      spec: specSchema,
      ...(status && { status: statusSchema(status, type.kind) }),
    },
  };
}

function statusSchema(status: z.ZodType, kind: string): JsonSchema {
  const schema = structural(status, 'status');
  schema['description'] = `What is known of the ${kind}.`;
  const properties = schema['properties'] as JsonSchema;
  schema['properties'] = {
    conditions: CONDITIONS,
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'Generation of the spec that the status speaks of.',
    },
    ...properties,
  };
  return schema;
}

/** `schema` without rules in CEL, at any depth. */
function withoutRules(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutRules);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key]) => key !== 'x-kubernetes-validations');
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutRules(value)]));
}

/** One rule a field, so that the error names the field. */
function addImmutability(spec: JsonSchema, mutable: readonly string[]): void {
  const fields = Object.keys(spec['properties'] as JsonSchema).filter((field) => !mutable.includes(field));
  const rules = (spec['x-kubernetes-validations'] as JsonSchema[] | undefined) ?? [];
  spec['x-kubernetes-validations'] = [
    ...rules,
    ...fields.map((field) => ({
      rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
      message: `${field} is immutable; make a new object instead`,
    })),
  ];
}

function structural(schema: z.ZodType, path: string): JsonSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }) as JsonSchema;
  return clean(json, path);
}

const SAFE = Number.MAX_SAFE_INTEGER;

/** Takes out what a structural schema must not hold, and fails on a field without a description. */
function clean(schema: JsonSchema, path: string): JsonSchema {
  const result: JsonSchema = { ...schema };
  delete result['$schema'];
  if (result['x-kubernetes-int-or-string']) for (const key of ['anyOf', 'oneOf', 'type']) delete result[key];
  if (result['additionalProperties'] === false) delete result['additionalProperties'];
  delete result['propertyNames'];
  if (result['maximum'] === SAFE) delete result['maximum'];
  if (result['type'] === 'integer') result['format'] = 'int64';
  if (result['format'] === 'uri') delete result['format'];
  const properties = result['properties'] as Record<string, JsonSchema> | undefined;
  if (properties)
    result['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, described(child, `${path}.${name}`)]),
    );
  if (result['items']) result['items'] = clean(result['items'] as JsonSchema, `${path}[]`);
  if (typeof result['additionalProperties'] === 'object')
    result['additionalProperties'] = clean(result['additionalProperties'] as JsonSchema, `${path}{}`);
  return result;
}

function described(schema: JsonSchema, path: string): JsonSchema {
  if (!schema['description']) throw new Error(`${path} has no description`);
  return clean(schema, path);
}
