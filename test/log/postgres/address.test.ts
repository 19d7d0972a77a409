/** Addresses of PostgreSQL: one server or several, and what is told of them. */
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PostgresAddress } from '../../../src/log/postgres/address.ts';

/** Any file that is there. */
const CA = encodeURIComponent(import.meta.filename);

test('several servers are taken in turn, and what is told of them has no password', () => {
  const address = new PostgresAddress('postgres://ada:s3cret@a,b:7000,[::1]/courier?target_session_attrs=read-write&sslmode=require');
  expect([address.label, address.count]).toEqual(['a,b:7000,[::1]/courier', 3]);
  const urls = [address.url];
  address.leave(address.url);
  urls.push(address.url);
  // Somebody else has left it already.
  address.leave(urls[0] as string);
  expect(address.url).toBe(urls[1]);
  address.leave(address.url);
  urls.push(address.url);
  address.leave(address.url);
  expect(address.url).toBe(urls[0]);
  const form = (host: string) => `postgres://ada:s3cret@${host}/courier?sslmode=verify-full`;
  expect(urls).toEqual([form('a'), form('b:7000'), form('[::1]')]);
});

test.each([
  ['sslmode=prefer', 'sslmode=verify-full'],
  [`sslmode=verify-ca&sslrootcert=${CA}`, `sslmode=verify-full&sslrootcert=${CA}`],
  ['sslmode=disable&sslmode=require', 'sslmode=verify-full'],
  ['sslmode=verify-full', 'sslmode=verify-full'],
  ['sslmode=disable', 'sslmode=disable'],
  ['sslmode=no-verify', 'sslmode=no-verify'],
  ['uselibpqcompat=true&sslmode=require', 'uselibpqcompat=true&sslmode=require'],
])('%s means for the driver what %s means, of which it does not warn', async (given, taken) => {
  const warn = vi.spyOn(process, 'emitWarning');
  onTestFinished(() => warn.mockRestore());
  const { url } = new PostgresAddress(`postgres://ada@db/courier?${given}`);
  expect(url).toBe(`postgres://ada@db/courier?${taken}`);
  new pg.Client({ connectionString: url.replace(/sslrootcert=[^&]*/, '') });
  expect(warn).not.toHaveBeenCalled();
});

test('one server may be a socket', () => {
  expect(new PostgresAddress('postgresql:///courier?host=/run/postgresql').count).toBe(1);
});

test.each([
  ['postgres://user:/s3cret@127.0.0.1:1/db', /%2F for a slash/],
  ['postgres://user:12/s3cret@127.0.0.1:1/db', /%2F for a slash/],
  ['postgres://user:pass@host:port/db', /^must be postgres:/],
  ['postgres://a,b/db?target_session_attrs=standby', /target_session_attrs must be read-write, as a log is written to, not standby/],
  ['postgres://db/courier?sslmod=verify-full', /^has sslmod: is sslmode meant\?/],
  ['postgres://db/courier?SSLMODE=verify-full', /^has SSLMODE: is sslmode meant\?/],
  ['postgres://db/courier?channel_binding=require', /^has channel_binding, which Courier's driver does not heed: leave it out;/],
  ['postgres://db/courier?password=x&s3cret', /^has a parameter that nobody knows: is there a & in a password\?/],
  ['postgres://db/courier?sslmode=', /^sslmode must be one of verify-full, .* not ""$/],
  ['postgres://db/courier?sslmode=foo', /not "foo"$/],
  ['postgres://a,b/courier?sslmode=verifyfull', /not "verifyfull": is verify-full meant\?$/],
  ['postgres://db/courier?ssl=false', /^ssl must be one of true, 1, 0, no-verify, not "false"/],
  ['postgres://db/courier?sslrootcert=/missing/ca.pem', /^sslrootcert cannot be read: ENOENT.*\/missing\/ca\.pem/],
  ['postgres://db/courier?sslcert=/missing/c.pem', /^sslcert cannot be read/],
  ['postgres://db/courier?sslkey=/', /^sslkey cannot be read: EISDIR/],
])('%s is refused, without a word of what may be a password', (text, message) => {
  expect(() => new PostgresAddress(text)).toThrow(message);
  expect(() => new PostgresAddress(text)).not.toThrow(/s3cret/);
});
