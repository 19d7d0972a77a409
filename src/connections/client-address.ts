/**
 * Whose address a request counts for: the client's, as far as trusted proxies vouch for it. An address is only ever taken
 * from a header that a trusted proxy passed on, and only as far back as trusted proxies go; what lies behind them is the
 * client's own word, and is not looked at.
 */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import { parse as parseForwarded } from 'forwarded-parse';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
/** A network of either family, as its first address and the length of its prefix. */
export type Network = readonly [base: Address, prefixLength: number];

/** Networks that have a name. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};
/** An IPv4 address within IPv6 has its 32 bits behind this many. */
const MAPPED_PREFIX_LENGTH = 96;
/** A client with one IPv6 address has all that begin like it (RFC 6177). */
const SITE_PREFIX_LENGTH = 64;
/** Characters of a header that says where a request came from, at most: room for forty hops, each with an IPv6 address. */
const MAX_HEADER_LENGTH = 2048;
/** What a socket that has closed already is counted for. */
const UNKNOWN = 'unknown';

/** Reads an address, a network (`10.0.0.0/8`), or a name (`loopback`, `private`). Undefined when it is none. */
export function parseNetworks(text: string): readonly Network[] | undefined {
  const named = Object.hasOwn(NAMED, text) ? NAMED[text] : undefined;
  if (named !== undefined) return named.map((network) => ipaddr.parseCIDR(network));
  const [, base = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(base);
  // A zone names an interface of one machine, which no network spans.
  if (family === 0 || base.includes('%')) return undefined;
  const mostBits = family === 4 ? 32 : 128;
  const prefixLength = length === undefined ? mostBits : Number(length);
  if (prefixLength > mostBits) return undefined;
  const address = ipaddr.process(base);
  if (address.kind() === 'ipv6' || family === 4) return [[address, prefixLength]];
  // Peers are compared as IPv4 addresses where they are such, so that networks of them are too.
  return prefixLength < MAPPED_PREFIX_LENGTH ? undefined : [[address, prefixLength - MAPPED_PREFIX_LENGTH]];
}

/**
 * Makes the function that tells the address of a request's sender, in canonical form: the peer's, unless that is a trusted proxy; else
 * the nearest one in `X-Forwarded-For` or `Forwarded` that is no trusted proxy's. Where the headers give no answer that
 * can be relied on, it is that of the last proxy that can.
 */
export function clientAddress(trusted: readonly Network[]): (req: IncomingMessage) => string {
  const isTrusted = (address: Address) =>
    trusted.some(([base, prefixLength]) => address.kind() === base.kind() && address.match(base, prefixLength));
  return ({ socket: { remoteAddress = '' }, headers }) => {
    // The system writes it in canonical form.
    if (trusted.length === 0 && isIPv4(remoteAddress)) return remoteAddress;
    const peer = parseAddress(remoteAddress);
    if (peer === undefined) return UNKNOWN;
    if (!isTrusted(peer)) return peer.toString();
    const nearest = (header: string | undefined, hopsOf: (header: string) => readonly string[]): string | undefined => {
      if (header === undefined) return undefined;
      return nearestClient(peer, header.length > MAX_HEADER_LENGTH ? [] : hopsOf(header), isTrusted).toString();
    };
    const listed = nearest(headers['x-forwarded-for']?.toString(), hopsOfList);
    const forwarded = nearest(headers.forwarded, hopsOfForwarded);
    // A proxy writes one of the headers and passes the other on as the client sent it. Which one it writes is not known
    // here: where they differ, either may be the client's invention.
    if (listed !== undefined && forwarded !== undefined && listed !== forwarded) return peer.toString();
    return listed ?? forwarded ?? peer.toString();
  };
}

/** What is counted as one caller: an IPv4 address, or the 64 bits of an IPv6 address that a site has to itself. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/${SITE_PREFIX_LENGTH}`)}/${SITE_PREFIX_LENGTH}`;
}

/** Goes back from the peer, hop by hop, to the first that is not trusted. What cannot be read ends the way. */
function nearestClient(peer: Address, hops: readonly string[], isTrusted: (address: Address) => boolean): Address {
  let nearest = peer;
  for (const hop of hops.toReversed()) {
    const address = parseAddress(withoutPort(hop));
    if (address === undefined) return nearest;
    nearest = address;
    if (!isTrusted(address)) return nearest;
  }
  return nearest;
}

/** The hops that `X-Forwarded-For` names, the nearest last. */
function hopsOfList(header: string): readonly string[] {
  return header.split(',').map((hop) => hop.trim());
}

/** The same of `Forwarded` (RFC 7239). A hop that does not say whom it is for is empty. */
function hopsOfForwarded(header: string): readonly string[] {
  try {
    return parseForwarded(header).map((element) => element['for'] ?? '');
  } catch {
    // Quotes can hold commas: of a header that cannot be read as a whole, the end cannot either.
    return [];
  }
}

/** `[2001:db8::1]:443`, `192.0.2.1:443` and either without its port; RFC 7239 lets ports have invented names. */
function withoutPort(hop: string): string {
  const [, six, four] = /^(?:\[([^\]]*)\]|([\d.]+))(?::[\w.-]+)?$/.exec(hop) ?? [];
  return six ?? four ?? hop;
}

/** IPv4 within IPv6 is IPv4; a zone, which says by which interface, is dropped. Undefined for what is no address. */
function parseAddress(text: string): Address | undefined {
  return isIP(text) === 0 ? undefined : ipaddr.process(text.replace(/%.*$/, ''));
}
