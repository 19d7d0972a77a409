/** `courier contract init`: writes the start of a contract of one's own. */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { courier } from '../../src/commands.ts';
import { filesOf, quoted } from '../contract/gate/files.ts';
import { CliError, EXIT } from './errors.ts';
import { print } from './output.ts';

/** JavaScript that is TypeScript too. */
const START = `/** What this platform says: its channels, and the events that its services publish. */
import { defineContract, defineService, id, text, z } from '@lumiere/courier/contract';

/** A service publishes its own events, and no other may. Its name below is the \`sub\` of its tokens. */
const shop = defineService({
  description: 'takes orders',
  events: {
    'order.placed': {
      // The channels that carry it, those of its home first. Channels of users, and \`global\`, carry every event.
      on: ['order'],
      description: 'A customer has placed an order.',
      // Publishers that send anything else are refused. Subscribers get what is written here, with its type.
      data: z.strictObject({
        order_id: id,
        items: z
          .array(z.strictObject({ article: text, quantity: z.int().min(1) }))
          .min(1)
          .max(100),
        // Numbers are rounded somewhere; money is whole cents, or text.
        total_cents: z.int().min(0).describe('What the customer pays, in cents.'),
      }),
      // The first stands in documents and forms, and the gate reads stored events with it.
      examples: [{ order_id: 'o1', items: [{ article: 'Tea', quantity: 2 }], total_cents: 1190 }],
    },
    'order.shipped': {
      on: ['order'],
      description: 'An order is on its way.',
      data: z.strictObject({ order_id: id, carrier: text, note: text.optional() }),
      examples: [{ order_id: 'o1', carrier: 'Post' }],
      // When data changes so that it breaks somebody, raise the version, and say with the schema that it had how stored events become
      // the new form. With earlierVersion among the imports above, and a carrier that is called company from now on:
      //   data: z.strictObject({ order_id: id, company: text, note: text.optional() }),
      //   examples: [{ order_id: 'o1', company: 'Post' }],
      //   version: 2,
      //   upcast: {
      //     1: earlierVersion(
      //       z.strictObject({ order_id: id, carrier: text, note: text.optional() }),
      //       ({ carrier, ...rest }) => ({ ...rest, company: carrier }),
      //     ),
      //   },
    },
  },
});

export default defineContract({
  // Names the contract before people and clients.
  name: 'shop',
  // The family \`order\` has the channels \`order.{id}\`. Where an event's data has the field, it must be the id of the channel.
  families: { order: { id: 'order_id', title: 'An order' } },
  services: { shop },
});
`;

/** @throws {CliError} when there is something already, or nothing can be written. */
export async function initContract(file: string): Promise<void> {
  if (!/^\.[cm]?[jt]s$/.test(extname(file))) throw new CliError(`${file} is no name of a module: call it contract.ts`, EXIT.usage);
  const isThere = new CliError(`${file} is there already, and is not overwritten`);
  if (existsSync(file)) throw isThere;
  const { snapshot } = filesOf(file);
  if (existsSync(snapshot)) throw new CliError(`there is a contract of this name already, as ${snapshot} says`);
  try {
    writeFileSync(resolve(file), START, { flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw isThere;
    throw new CliError(`${file} cannot be written: ${code === 'ENOENT' ? `there is no folder ${dirname(file)}` : message}`);
  }
  const shown = quoted(file);
  const steps = [
    ['look whether it is right', `serve --contract ${shown} --check`],
    ['write its snapshot, and commit both: what breaks is found from then on', `contract renew --contract ${shown}`],
    ['run a gateway that serves it', `serve --contract ${shown}`],
    ['write the types of clients', `contract export --contract ${shown} --format typescript --output events.ts`],
  ] as const;
  await print(`${file} is the start of a contract. Next:`);
  for (const [aim, args] of steps) {
    await print('');
    await print(`  ${aim}:`);
    await print(`    ${courier(args)}`);
  }
}
