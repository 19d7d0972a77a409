/** Addresses of Redis: what they name, and what is taken where they say nothing. */
import { expect, test } from 'vitest';
import { parseRedisAddress } from '../../src/redis/address.ts';

test('one server, with and without what may be left out', () => {
  expect(parseRedisAddress('rediss://ada:a%40b@[::1]:7000/2')).toEqual({
    label: 'rediss://[::1]:7000/2',
    servers: [{ host: '::1', port: 7000 }],
    master: undefined,
    tls: true,
    credentials: { username: 'ada', password: 'a@b' },
    sentinelCredentials: {},
    database: 2,
  });
  expect(parseRedisAddress('redis://redis')).toMatchObject({ servers: [{ host: 'redis', port: 6379 }], tls: false, database: 0 });
  expect(parseRedisAddress('redis://:p:w@redis/').credentials).toEqual({ password: 'p:w' });
});

test('Sentinels, whose passwords are not that of Redis', () => {
  const text = 'rediss+sentinel://ada:secret@a,b:7000/mymaster?db=3&sentinel_user=eve&sentinel_password=p%25';
  expect(parseRedisAddress(text)).toEqual({
    label: 'rediss+sentinel://a,b:7000/mymaster',
    servers: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 7000 },
    ],
    master: 'mymaster',
    tls: true,
    credentials: { username: 'ada', password: 'secret' },
    sentinelCredentials: { username: 'eve', password: 'p%' },
    database: 3,
  });
  expect(parseRedisAddress('redis+sentinel://a/m')).toMatchObject({ credentials: {}, sentinelCredentials: {}, database: 0 });
});

test.each([
  'redis://user:/s3cret@host:6379/mymaster',
  'redis+sentinel://user:/s3cret@host:26379/mymaster',
  'redis+sentinel://host/mymaster?sentinel_password=a&s3cret',
  'redis://host:6379?password=s3cret',
  'redis://host:6379?db=2',
])('%s is refused, without a word of what may be a password', (text) => {
  expect(() => parseRedisAddress(text)).toThrow(RangeError);
  expect(() => parseRedisAddress(text)).not.toThrow(/s3cret/);
});
