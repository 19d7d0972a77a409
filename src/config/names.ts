/** The names of variables: which are the gateway's to know, and which known name, of these or others, is nearest to an unknown one. */

const PREFIX = 'COURIER_';
/** Read by the command line and clients, by the tests, and by the scripts that run them. */
const OF_OTHERS = /^COURIER_(URL|TOKEN|CHROMIUM|PYTHON|FAULTS|TEST_.+|SOAK_.+)$/;
/** Set by Kubernetes for a service whose name begins with `courier` (`enableServiceLinks`), with its address in the shortest. */
const OF_KUBERNETES = /^COURIER_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const LINK_OF_KUBERNETES = /^COURIER_.+_PORT$/;
const LINKED_ADDRESS = /^(tcp|udp|sctp):\/\//;

/** What others call it, and what it is called here. */
const SYNONYMS: readonly (readonly [word: RegExp, name: string])[] = [
  [/REDIS/, 'COURIER_BROKER'],
  [/DATABASE|POSTGRES|SQLITE/, 'COURIER_LOG'],
  [/BIND|LISTEN_ADDR/, 'COURIER_HOST'],
];
const READ_BY_COMMANDS = ['COURIER_URL', 'COURIER_TOKEN'];

/** Whether nothing but the gateway reads a variable like this. */
export function isOfGateway(name: string, value: string): boolean {
  if (!name.startsWith(PREFIX) || OF_OTHERS.test(name) || OF_KUBERNETES.test(name)) return false;
  return !(LINK_OF_KUBERNETES.test(name) && LINKED_ADDRESS.test(value));
}

/** The name that `name` is most like, of those that the gateway or the command line reads. */
export function nearestName(name: string, names: readonly string[]): string {
  const synonym = SYNONYMS.find(([word]) => word.test(name));
  if (synonym !== undefined) return synonym[1];
  const candidates = [...names, ...READ_BY_COMMANDS].filter((known) => known.startsWith(PREFIX));
  const withoutPrefix = candidates.map((known) => known.slice(PREFIX.length));
  return PREFIX + mostLike(name.slice(PREFIX.length), withoutPrefix).name;
}

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
