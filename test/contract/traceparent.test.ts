import { describe, expect, test } from 'vitest';
import { parseTraceparent, traceparent } from '../../src/contract/traceparent.ts';

const FIELDS = '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const LATER = `01-${FIELDS}`;

const ACCEPTED = {
  'version 00': `00-${FIELDS}`,
  'a later version without more fields': LATER,
  'a later version with more fields': `cc-${FIELDS}-what the-future ~ has`,
  'a later version with an empty field': `${LATER}-`,
  'the longest': `${LATER}-${'x'.repeat(128 - LATER.length - 1)}`,
};
const REFUSED = {
  'version 00 with more fields': `00-${FIELDS}-more`,
  'version 00 with an empty field': `00-${FIELDS}-`,
  'version ff': `ff-${FIELDS}`,
  'more that does not begin with a hyphen': `${LATER}.more`,
  'a control character': `${LATER}-a\u001bb`,
  'a tab': `${LATER}-a\tb`,
  DEL: `${LATER}-a\u007fb`,
  'what is not ASCII': `${LATER}-ä`,
  'a bidirectional control': `${LATER}-\u202e`,
  'a line pipeline in the end of version 00': `00-${FIELDS}\n`,
  'a line pipeline in the end of a later version': `${LATER}-more\n`,
  'a character too many': `${LATER}-${'x'.repeat(128 - LATER.length)}`,
  'capital letters': `00-${FIELDS.toUpperCase()}`,
  'a trace id of zeros': `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  'a span id of zeros': `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`,
};

describe('is a traceparent', () => {
  test.each(Object.entries(ACCEPTED))('%s', (_what, text) => {
    expect(traceparent.safeParse(text).success).toBe(true);
    expect(parseTraceparent(text)).toEqual({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
    });
  });
});

describe('is none', () => {
  test.each(Object.entries(REFUSED))('%s', (_what, text) => {
    expect(traceparent.safeParse(text).success).toBe(false);
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
