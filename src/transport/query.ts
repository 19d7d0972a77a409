/** The query of an address, read in one way wherever the gateway reads one: nothing in it counts silently instead of something else. */
import { cut, invalidField } from '../errors.ts';
import type { RequestTarget } from './request-target.ts';

/** Parameters that take several values, with commas between them. A condition on the state, such as `state.symbol`, does too. */
const LISTS: ReadonlySet<string> = new Set(['types', 'entity', 'state', 'key']);

/** `state.symbol=SPX` is a condition. */
export function isCondition(parameter: string): boolean {
  return parameter.startsWith('state.');
}

/**
 * The parameters of an address by their names.
 *
 * @throws {CourierError} BAD_REQUEST naming the first that is given more than once: programs differ in which of them they take.
 */
export function parametersIn({ search }: Pick<RequestTarget, 'search'>): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (parameters.has(name)) throw invalidField(cut(name), repeated(name));
    parameters.set(name, value);
  }
  return parameters;
}

function repeated(name: string): string {
  const isList = LISTS.has(name) || isCondition(name);
  return `must be given once${isList ? ': several values go together, with commas between them' : ''}`;
}
