//! Who answers, from what was chosen and what there is.

import { beforeEach, describe, expect, it, test, vi } from 'vitest';
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

describe('a message', () => {
  let models: typeof import('./models');

  beforeEach(async () => {
    vi.resetModules();
    models = await import('./models');
  });

  it('asks for the usual agent before the server has named its agents', () => {
    expect(models.messageOptions()).toEqual({ agent: models.EVERYTHING });
  });

  it('asks for nobody where the usual one is missing', () => {
    models.knowAgents(['explorer']);
    expect(models.messageOptions()).toEqual({});
  });

  it('asks for whom the person chose', () => {
    models.knowAgents(['explorer', 'assistant']);
    models.chooseAgent('explorer');
    expect(models.messageOptions()).toEqual({ agent: 'explorer' });
  });
});
