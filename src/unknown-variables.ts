/**
 * Variables that begin as Courier's do and that nothing reads: most likely one is misspelt, and a default stands in its place.
 */

/** What other parts read: the command line and clients, the tests and the scripts that run them. */
const OF_OTHERS = /^COURIER_(URL|TOKEN|CHROMIUM|PYTHON|FAULTS|TEST_.+|SOAK_.+)$/;
/** What Kubernetes sets for a service whose name begins with `courier` (`enableServiceLinks`). */
const OF_KUBERNETES = /^COURIER_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

const READ_BY_COMMANDS = ['COURIER_URL', 'COURIER_TOKEN'];

/**
 * What is wrong with the first variable that nothing reads, in words; undefined where there is none.
 *
 * @param names of the variables that the gateway reads.
 */
export function unknownVariable(env: Readonly<Record<string, string | undefined>>, names: readonly string[]): string | undefined {
  const isUnknown = (name: string) =>
    name.startsWith('COURIER_') && (env[name] ?? '') !== '' && !names.includes(name) && !OF_OTHERS.test(name) && !OF_KUBERNETES.test(name);
  const found = Object.keys(env).find(isUnknown);
  if (found === undefined) return undefined;
  return `${found} is no variable of Courier: is ${nearest(found, [...names, ...READ_BY_COMMANDS])} meant? Otherwise unset it`;
}

function nearest(name: string, names: readonly string[]): string {
  const found = names.map((known) => ({ known, likeness: likeness(name, known) }));
  return found.reduce((best, next) => (next.likeness > best.likeness ? next : best)).known;
}

/** From 0 to 1: the part of both that they have in common, in the same order. */
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
