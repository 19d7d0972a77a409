/** Sums of decimals as texts: each is so many units of the last place that either has. */

/** @param {string} text */
function parsed(text) {
  const isNegative = text.startsWith('-');
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  return { isNegative, whole, fraction };
}

/** Both as whole numbers of units of one size, and how many places that has. */
function aligned(first, second) {
  const [a, b] = [parsed(first), parsed(second)];
  const places = Math.max(a.fraction.length, b.fraction.length);
  const [left, right] = [a, b].map(({ isNegative, whole, fraction }) => {
    const units = BigInt(whole + fraction.padEnd(places, '0'));
    return isNegative ? -units : units;
  });
  return { left, right, places };
}

/** Without a point where nothing stands behind it. */
function written(units, places) {
  const digits = String(units < 0n ? -units : units).padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  let fraction = digits.slice(digits.length - places);
  while (fraction.endsWith('0')) fraction = fraction.slice(0, -1);
  const sign = units < 0n ? '-' : '';
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`;
}

export function sum(first, second) {
  const { left, right, places } = aligned(first, second);
  return written(left + right, places);
}

/** What is left of the first; nothing less than 0. */
export function rest(first, second) {
  const { left, right, places } = aligned(first, second);
  return left < right ? '0' : written(left - right, places);
}

export function isNothing(text) {
  return Number.parseFloat(text.replaceAll('.', '')) === 0;
}
