//! Who answers, from what was chosen and what there is.

import { expect, test } from 'vitest';
import { agentOf } from './models';

test('the choice counts where the server has it', () => {
  const known = ['explorer', 'assistant'];
  expect(agentOf({ confirms: false }, known)).toBe('assistant');
  expect(agentOf({ confirms: false, agent: 'explorer' }, known)).toBe('explorer');
  expect(agentOf({ confirms: false, agent: 'gone' }, known)).toBe('assistant');
});

test('a server that has said nothing, or has nobody for everything, decides itself', () => {
  expect(agentOf({ confirms: false }, [])).toBeUndefined();
  expect(agentOf({ confirms: false }, ['explorer'])).toBeUndefined();
});
