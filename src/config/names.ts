/** The names of variables: which are the gateway's to know, and which known name, of these or others, is nearest to an unknown one. */
import { mostLike } from '../most-like.ts';

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
