//! The main job: a page, three questions, real answers, offline.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launch } from './support/browser.mjs';
import { ask, lastAnswer, open, picture, settled } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

describe('the first conversation', () => {
  let server: TidewireServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    server = await TidewireServer.start('embedded');
    browser = await launch();
    page = await open(browser, server.url);
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('offers questions that come from the catalogue', async () => {
    await page.getByTestId('suggestion').first().waitFor();
    await expect.poll(() => page.getByTestId('suggestion').count()).toBe(3);
    await picture(page, '1-empty');
  });

  it('lists all tables', async () => {
    await ask(page, 'Show me all tables');
    await settled(page, 1);
    await expect.poll(() => lastAnswer(page)).toContain('factv_purchase_order');
    await expect.poll(() => page.getByTestId('tool-row').count()).toBeGreaterThanOrEqual(1);
    await page.getByTestId('tables').waitFor();
    await picture(page, '2-tables');
  });

  it('shows how purchase orders are related to suppliers, with a tool card and a diagram', async () => {
    await ask(page, 'How are purchase orders related to suppliers?');
    await settled(page, 2);
    await expect.poll(() => lastAnswer(page)).toContain('dimv_supplier');
    await page.locator('[data-testid=diagram] svg').waitFor();
    const drawn = await page.locator('[data-testid=diagram] svg').textContent();
    expect(drawn).toContain('factv_purchase_order');
    expect(drawn).toContain('dimv_supplier');
    await picture(page, '3-diagram');
  });

  it('says hello with the embedded model', { timeout: 180_000 }, async () => {
    // The model loads in the background; the question is for it, so it has to be there.
    await expect.poll(async () => (await server.health()).model_status, { timeout: 60_000 }).toBe('ready');
    await ask(page, 'hello');
    await settled(page, 3, 120_000);
    expect((await lastAnswer(page)).length).toBeGreaterThan(5);
    await picture(page, '4-hello');
  });

  it('is the same after a reload, and nothing complained', async () => {
    const before = await page.getByTestId('message-agent').allInnerTexts();
    await page.reload();
    await settled(page, 3);
    const after = await page.getByTestId('message-agent').allInnerTexts();
    expect(after.length).toBe(before.length);
    expect(complaints).toEqual([]);
  });
});
