/** The names that code and types have for what a contract declares are the same. */
import { expect, expectTypeOf, test } from 'vitest';
import { type EventProcedureOf, type PascalCase, pascalCase, procedureOf, type RouteOf } from '../../src/contract/names.ts';

/** The name as code makes it, which must be that of the types. */
const procedure = <const F extends string>(family: F, name: `${RouteOf<F>}.${EventProcedureOf<F>}`) => [procedureOf(family), name];
const pascal = <const S extends string>(text: S, name: PascalCase<S>) => [pascalCase(text), name];

test.each([
  procedure('vessel', 'vessel.onEvent'),
  procedure('yard.block', 'yard.onBlock'),
  procedure('a.b.c', 'a.onBC'),
  procedure('a.b_c', 'a.onBC'),
  procedure('a.b__c', 'a.onBC'),
  procedure('a_b.c_d_', 'a_b.onCD'),
  pascal('strategy.generation.started', 'StrategyGenerationStarted'),
  pascal('port_office', 'PortOffice'),
  pascal('a_', 'A'),
  pascal('a1.b2_3', 'A1B23'),
])('%s', (made, name) => expect(made).toBe(name));

test('there is one name only', () => {
  expectTypeOf<EventProcedureOf<'a.b_c' | 'a.b.c'>>().toEqualTypeOf<'onBC'>();
});
