/** Of measurements that are sorted, the one that a share of them does not exceed; NaN when there are none. */
export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function sortedOf(measured: readonly number[]): number[] {
  return measured.toSorted((a, b) => a - b);
}
