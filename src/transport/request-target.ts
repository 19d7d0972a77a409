/**
 * What a request asks for: its target (RFC 9112, 3.2) as it was sent. Nothing of it is decoded, resolved or joined before
 * a route is chosen. The gateway refuses what proxies and libraries read in different ways, so that a proxy that
 * guards a path in front of the gateway has guarded the route behind it.
 */
import { CourierError } from '../errors.ts';

export interface RequestTarget {
  /** Below the base path, as it was sent: empty, or with a slash at its beginning. */
  readonly path: string;
  /** The query with its question mark, or nothing. */
  readonly search: string;
}

/** The form that proxies are asked in; its host does not matter here. */
const SCHEME_AND_HOST = /^(?:http|ws)s?:\/\/[^/?\\]*/i;
/** Some parsers drop tabs and line ends from an address, and encode what is not ASCII; others do not. */
const VISIBLE_ASCII = /^[!-~]+$/;
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i;

/**
 * Reads a target.
 *
 * @param basePath what every path begins with: empty, or such as `/courier`.
 * @throws {CourierError} BAD_REQUEST for one that can be read in more than one way, NOT_FOUND outside the base path.
 */
export function requestTarget(sent: string, basePath: string): RequestTarget {
  if (!VISIBLE_ASCII.test(sent)) throw malformed('has characters in it that are not visible ASCII; encode them');
  if (sent.includes('#')) throw malformed('has a # in it; encode it');
  const [path = '', ...query] = sent.replace(SCHEME_AND_HOST, '').split('?');
  refuseAmbiguous(path);
  if (path !== basePath && !path.startsWith(`${basePath}/`)) {
    throw new CourierError('NOT_FOUND', `there is nothing at this path: everything is below ${basePath}/`);
  }
  return { path: path.slice(basePath.length), search: query.length === 0 ? '' : `?${query.join('?')}` };
}

function refuseAmbiguous(path: string): void {
  if (path !== '' && !path.startsWith('/')) throw malformed('does not begin with a slash');
  if (path.includes('\\')) throw malformed('has a backslash in its path; encode it');
  if (path.includes('//')) throw malformed('has // in its path');
  if (path.split('/').some((segment) => DOT_SEGMENT.test(segment))) throw malformed('has a segment . or .. in its path');
}

function malformed(reason: string): CourierError {
  return new CourierError('BAD_REQUEST', `the address ${reason}`);
}

/** Decodes one segment of a path. @throws {CourierError} BAD_REQUEST */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new CourierError('BAD_REQUEST', 'the path is not valid URL encoding', { cause });
  }
}
