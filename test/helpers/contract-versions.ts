/** Versions of the data of `order.placed`, in a repository with a contract of its own. */
import { expect } from 'vitest';
import type { Repository } from './contract-repository.ts';

export const WHY = ['--breaking', 'Shares are of a whole that may be two.'] as const;
export const EXAMPLES = "examples: [{ order_id: 'o1', share: 0.5 }],";
/** Breaks subscribers; publishers of the earlier form go on. */
export const WIDER = ['max(1), note', 'max(2), note'] as const;
/** The schema of the first version. */
export const OLD = 'z.strictObject({ order_id: id, share: z.number().min(0).max(1), note: text.optional() })';

export function raise(repository: Repository, version: number, ...upcasts: readonly string[]): void {
  const source = repository.read('contract.ts').replace(/ version: \d+, upcast: \{.*\},\n/, '\n');
  const upcast = upcasts.map((text) => `${text}, `).join('');
  repository.write('contract.ts', source.replace(EXAMPLES, `${EXAMPLES} version: ${version}, upcast: { ${upcast}},`));
}

/** An entry of `upcast`. */
export const from = (version: number, data = OLD, toPresent = '(old) => old') => `${version}: earlierVersion(${data}, ${toPresent})`;

/** What is printed of a change that neither renewing nor the check lets pass, whatever the ledger says. */
export async function refusal(repository: Repository): Promise<string> {
  const renewed = await repository.renew(...WHY);
  expect(renewed).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing is renewed; what stored events or the ledger do not allow: 1'),
  });
  expect(repository.ledger()).toEqual([]);
  await repository.overwriteSnapshot();
  const checked = await repository.check();
  expect(checked).toMatchObject({ code: 1, stderr: expect.stringContaining('not to be excused by the ledger: 1') });
  return checked.stdout;
}
