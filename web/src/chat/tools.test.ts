//! Tool rows in words.

import { describe, expect, test } from 'vitest';
import type { ToolCall } from '../conversation/model';
import { inTime, readResult, toolSubject, toolTitle } from './tools';

const call = (name: string, args: unknown, state: ToolCall['state'] = 'done'): ToolCall => ({ callId: 'c', name, arguments: args, state });

test('known tools have words, unknown ones their name', () => {
  expect(toolTitle(call('find_relationships', {}, 'running'))).toBe('Looking up relationships');
  expect(toolTitle(call('find_relationships', {}))).toBe('Looked up relationships');
  expect(toolTitle(call('my_tool', {}))).toBe('my_tool');
});

test('the subject is the argument that matters', () => {
  expect(toolSubject(call('get_lineage', { table_name: 'factv_order' }))).toBe('factv_order');
  expect(toolSubject(call('get_lineage', null))).toBeUndefined();
  expect(toolSubject(call('my_tool', { table_name: 'x' }))).toBeUndefined();
});

test('durations', () => {
  expect([inTime(0.4), inTime(120), inTime(1440)]).toEqual(['0 ms', '120 ms', '1.4 s']);
});

describe('results', () => {
  test('a list of flat records becomes rows, also inside one object', () => {
    const rows = { kind: 'rows', columns: ['a', 'b'], rows: [{ a: 1 }, { a: 2, b: 'x' }], total: 2 };
    expect(readResult('[{"a":1},{"a":2,"b":"x"}]')).toEqual(rows);
    expect(readResult('{"total":2,"rows":[{"a":1},{"a":2,"b":"x"}]}')).toEqual(rows);
  });

  test('everything else is text', () => {
    expect(readResult('[{"a":{"b":1}}]').kind).toBe('text');
    expect(readResult('"plain"')).toEqual({ kind: 'text', text: 'plain' });
    expect(readResult('not json')).toEqual({ kind: 'text', text: 'not json' });
    expect(readResult('[]')).toEqual({ kind: 'text', text: '[]' });
  });
});
