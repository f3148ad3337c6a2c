/** What the routes below /v1/batches take. */

import { z } from 'zod';
import {
  type CodeBatchItem,
  type CodeBatchSpec,
  codeBatchFields,
  codeBatchItemFields,
  MAX_ITEMS,
  refuseTwins,
} from '../../api/codebatch.ts';
import { ObjectName } from '../../api/schema.ts';
import { RunPath } from './schemas.ts';

export const BatchPath = z.strictObject({ name: RunPath.shape.name.describe('Name of the batch.') });

const Item = z.strictObject({
  name: ObjectName.optional().describe('Name of the item, unique in the batch. Left out, it is item-0, item-1, …'),
  ...codeBatchItemFields,
});
type Item = z.output<typeof Item>;

export const CreateBatch = z
  .strictObject({
    name: ObjectName.optional().describe('Name of the batch, unique in its namespace. Left out, one is made.'),
    ...codeBatchFields,
    items: z
      .array(Item)
      .min(1)
      .max(MAX_ITEMS)
      .superRefine((items, context) =>
        refuseTwins(named(items), (index) =>
          context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is the name of an item before' }),
        ),
      )
      .describe(`The programs, 1 to ${MAX_ITEMS}. Fields given here take the place of those of the template.`),
  })
  .meta({
    id: 'CreateBatch',
    examples: [{ items: [{ name: 'first', code: 'print(1)' }, { code: 'print(2)' }], parallelism: 2 }],
  });

const named = (items: readonly Item[]): CodeBatchItem[] =>
  items.map((item, index) => ({ ...item, name: item.name ?? `item-${index}` }));

export const batchSpec = ({ items, ...fields }: Omit<z.output<typeof CreateBatch>, 'name'>): CodeBatchSpec => ({
  ...fields,
  items: named(items),
  cancelled: false,
});
