/** Tokens that nobody is let in with. */
import { signToken } from '../../src/auth/tokens.ts';
import { TOKENS } from './gateway.ts';
import { worker } from './trade.ts';

const sign = (
  claims: Partial<Parameters<typeof signToken>[1]>,
  settings: Partial<typeof TOKENS | { secret: string; audience: string }> = {},
) => signToken({ ...TOKENS, ...settings }, { sub: 'ada', role: 'admin', expiresInSeconds: 60, ...claims });

export const BAD_TOKENS: [name: string, tokenOf: () => Promise<string> | string | undefined][] = [
  ['none', () => undefined],
  ['empty', () => ''],
  ['nonsense', () => 'nonsense'],
  ['expired', () => sign({ expiresInSeconds: -60 })],
  ['of another secret', () => sign({}, { secret: 'x'.repeat(40) })],
  ['of another audience', () => sign({}, { audience: 'else' })],
  ['with a space in it', async () => (await sign({})).replace('.', '. ')],
  ['of 9 KB', () => sign({ subscribe: Array.from({ length: 100 }, (_, index) => `strategy.${`${index}`.padEnd(60, 'x')}`) })],
  ["of a service's name without its role", () => sign({ sub: worker.service })],
  ['that lives longer than it may', () => sign({ expiresInSeconds: 90 * 24 * 60 * 60 + 1 })],
];
