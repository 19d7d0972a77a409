/** Which known name may be meant by an unknown one. */

/** As much of a name as another must have in common with it to be meant, from 0 to 1. */
export const LEAST_LIKENESS = 0.7;

/** The one of `known` that `name` is most like, and how much, from 0 to 1; itself, with 0, where there is none. */
export function mostLike(name: string, known: readonly string[]): { readonly name: string; readonly likeness: number } {
  const rated = known.map((candidate) => ({ name: candidate, likeness: likeness(name, candidate) }));
  return rated.reduce((best, next) => (next.likeness > best.likeness ? next : best), { name, likeness: 0 });
}

/**
 * From 0 to 1: the part of both that they have in common, in the same order. An edit distance would count each letter of a
 * word that was left out, and take COURIER_SECRET for COURIER_PORT.
 */
function likeness(one: string, other: string): number {
  const row = Array.from({ length: other.length + 1 }, () => 0);
  for (const letter of one) {
    let diagonal = 0;
    for (let column = 1; column <= other.length; column += 1) {
      const above = row[column] as number;
      row[column] = letter === other[column - 1] ? diagonal + 1 : Math.max(above, row[column - 1] as number);
      diagonal = above;
    }
  }
  return (2 * (row[other.length] as number)) / (one.length + other.length);
}
