/** The arithmetic of Lumiere's entities is exact. It is held against columns of digits, as on paper. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entity } from '../../src/contract/entities.ts';
import { decimal } from '../../src/contract/fields.ts';
import { add, isZero, total, without } from '../../src/contracts/lumiere/entities/decimals.ts';
import { contract } from '../helpers/lumiere.ts';

/** A decimal of events, with any number of digits. */
const sized = fc
  .tuple(fc.stringMatching(/^(0|[1-9][0-9]{0,17})$/), fc.option(fc.stringMatching(/^[0-9]{1,18}$/), { nil: undefined }))
  .map(([whole, fraction]) => (fraction === undefined ? whole : `${whole}.${fraction}`));
const any = fc.tuple(fc.boolean(), sized).map(([isNegative, size]) => (isNegative ? `-${size}` : size));

/** Twice as many places as are kept, so that nothing that is lost goes unseen. */
const WIDE = 36;
function wide(text: string): bigint {
  const point = text.indexOf('.');
  const fraction = point < 0 ? '' : text.slice(point + 1);
  const units = BigInt(text.replace('.', '')) * 10n ** BigInt(WIDE - fraction.length);
  // `-0.5` reads as -05, and `-0` as 0.
  return units;
}

/** The sum of two decimals that are not negative, digit by digit from the right. */
function onPaper(a: string, b: string): string {
  const column = (text: string) => {
    const [whole = '', fraction = ''] = text.split('.');
    return `${whole.padStart(60, '0')}${fraction.padEnd(WIDE, '0')}`;
  };
  const [one, other] = [column(a), column(b)];
  let [sum, carry] = ['', 0];
  for (let at = one.length - 1; at >= 0; at -= 1) {
    const digit = Number(one[at]) + Number(other[at]) + carry;
    sum = `${digit % 10}${sum}`;
    carry = digit > 9 ? 1 : 0;
  }
  const whole = sum.slice(0, -WIDE).replace(/^0+(?=\d)/, '');
  const fraction = sum.slice(-WIDE).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

test('sums are exact, of decimals of any size and sign, and are such decimals again', () => {
  fc.assert(
    fc.property(any, any, (a, b) => {
      expect([a, b].every((each) => decimal.safeParse(each).success)).toBe(true);
      const sum = add(a, b);
      expect(wide(sum)).toBe(wide(a) + wide(b));
      expect(add(b, a)).toBe(sum);
      expect(total.safeParse(sum).success).toBe(true);
      // In its shortest form, so that equal sums are equal texts.
      expect(sum).toMatch(/^(0|-?(0\.\d*[1-9]|[1-9]\d*(\.\d*[1-9])?))$/);
    }),
  );
  fc.assert(fc.property(sized, sized, (a, b) => void expect(add(a, b)).toBe(onPaper(a, b))));
});

test('what is left is exact, and never less than nothing', () => {
  fc.assert(
    fc.property(any, any, (a, b) => {
      const left = wide(a) - wide(b);
      expect(wide(without(a, b))).toBe(left < 0n ? 0n : left);
      expect(wide(without(add(a, b), b))).toBe(wide(a) < 0n ? 0n : wide(a));
      expect(without(a, a)).toBe('0');
    }),
  );
});

test.each<[string, string, string]>([
  ['0.1', '0.2', '0.3'],
  ['1.5', '2.25', '3.75'],
  ['0.000000000000000001', '999999999999999999', '999999999999999999.000000000000000001'],
  ['999999999999999999.999999999999999999', '0.000000000000000001', '1000000000000000000'],
  ['-0.5', '0.25', '-0.25'],
  ['-0.5', '0.5', '0'],
  ['-0', '-0.00', '0'],
  ['12.50', '0', '12.5'],
])('%s and %s are %s', (a, b, sum) => expect(add(a, b)).toBe(sum));

test.each<[string, string, string]>([
  ['1.5', '0.5', '1'],
  ['1', '0.000000000000000001', '0.999999999999999999'],
  ['0.3', '0.1', '0.2'],
  ['1', '1.000000000000000001', '0'],
  ['1', '-1', '2'],
])('%s without %s is %s', (a, b, left) => expect(without(a, b)).toBe(left));

test('nothing is nothing, however it is written', () => {
  for (const zero of ['0', '-0', '0.0', '0.000000000000000000']) expect(isZero(zero)).toBe(true);
  for (const some of ['0.000000000000000001', '-0.1', '10', '1']) expect(isZero(some)).toBe(false);
  fc.assert(fc.property(any, (text) => void expect(isZero(text)).toBe(wide(text) === 0n)));
});

describe('an order', () => {
  const order = contract.entities.get('order') as Entity;
  const fill = (quantity: string) => ({
    id: '4f9xq2-1',
    channel: 'strategy.s1',
    type: 'order.filled',
    metadata: { timestamp: '2026-01-31T09:30:00.000Z', source: 'chevalier' },
    data: { order_id: 'o1', symbol: 'SPX', side: 'buy', quantity, price: '1', remaining_quantity: '1' },
  });
  const filled = (quantities: readonly string[]): string => {
    const last = quantities.reduce<object | undefined>((state, quantity) => {
      const { state: next, problem } = order.fold(state, fill(quantity)) as unknown as { state: object; problem?: string };
      expect(problem).toBeUndefined();
      return next;
    }, undefined);
    return (last as { filled_quantity: string }).filled_quantity;
  };

  test('has the sum of its fills, however many, and in whichever order', () => {
    fc.assert(
      fc.property(fc.array(sized, { minLength: 1, maxLength: 50, size: 'max' }), (quantities) => {
        const sum = quantities.reduce((before, quantity) => before + wide(quantity), 0n);
        expect(wide(filled(quantities))).toBe(sum);
        expect(filled(quantities.toReversed())).toBe(filled(quantities));
      }),
    );
    expect(filled(Array.from({ length: 1000 }, () => '0.1'))).toBe('100');
    expect(filled(Array.from({ length: 1000 }, () => '999999999999999999.999999999999999999'))).toBe(
      '999999999999999999999.999999999999999',
    );
  });
});
