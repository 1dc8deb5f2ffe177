//! Which agent a message asks for.

import { beforeEach, describe, expect, it, vi } from 'vitest';

describe('the agent of a message', () => {
  let models: typeof import('./models');

  beforeEach(async () => {
    vi.resetModules();
    models = await import('./models');
  });

  it('is the usual one before the server has named its agents', () => {
    expect(models.messageOptions()).toEqual({ agent: models.EVERYTHING });
  });

  it('is left to a server that has not the usual one', () => {
    models.knowAgents(['explorer']);
    expect(models.messageOptions()).toEqual({});
  });

  it('is the person\'s choice', () => {
    models.knowAgents(['explorer', 'assistant']);
    models.chooseAgent('explorer');
    expect(models.messageOptions()).toEqual({ agent: 'explorer' });
  });
});
