/** Addresses of PostgreSQL: one server or several, and what is told of them. */
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PostgresAddress } from '../../../src/log/postgres/address.ts';

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
  ['sslmode=verify-ca&sslrootcert=%2Fca.pem', 'sslmode=verify-full&sslrootcert=%2Fca.pem'],
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
])('%s is refused, without a word of what may be a password', (text, message) => {
  expect(() => new PostgresAddress(text)).toThrow(message);
  expect(() => new PostgresAddress(text)).not.toThrow(/s3cret/);
});
