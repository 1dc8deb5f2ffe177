//! The list of chats and decisions against the real server: what the page asks for is what the server does.

import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launch } from './support/browser.mjs';
import { ask, fold, lastAnswer, longEnough, open, openTab, picture, settled } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

describe('chats on the server', () => {
  let server: TidewireServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    server = await TidewireServer.start('scripted');
    browser = await launch();
    page = await open(browser, server.url);
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  const names = async () => (await page.getByTestId('chats').getByRole('link').allInnerTexts()).map(fold);
  const action = async (title: string, item: string) => {
    await page.getByTestId('chats').getByRole('link', { name: title, exact: true }).hover();
    await page.getByRole('button', { name: `Actions for ${title}`, exact: true }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };

  it('ask before a tool is used; the question survives a reload and is answered from another tab', async () => {
    await page.getByTestId('model-menu').click();
    await page.getByTestId('ask-first').click();
    await page.keyboard.press('Escape');
    await ask(page, 'Show me all tables');
    await page.getByTestId('approve').waitFor();
    await page.reload();
    const card = page.locator('[data-testid=approval][data-state=waiting]');
    await card.getByTestId('approval-about').waitFor();
    await picture(page, 'real-approval');
    const tab = await openTab(page);
    await tab.getByTestId('approve').click();
    await settled(page, 1);
    await expect.poll(() => page.getByTestId('approval').innerText().then(fold)).toMatch(/^list_tables Allowed by you/);
    await expect.poll(() => page.getByTestId('tool-row').count()).toBe(1);
    await tab.close();
  });

  it('are refused what a person refuses', async () => {
    await ask(page, 'How are purchase orders related to suppliers?');
    await page.getByTestId('refuse').click();
    await settled(page, 2);
    await expect.poll(() => page.getByTestId('approval').last().innerText().then(fold)).toMatch(/^find_relationships Refused by you/);
    await page.getByTestId('model-menu').click();
    await page.getByTestId('ask-first').click();
    await page.keyboard.press('Escape');
  });

  it('are renamed, also after a reload', async () => {
    await action('Show me all tables', 'Rename');
    await page.getByLabel('Title').fill('Tables');
    await page.keyboard.press('Enter');
    await expect.poll(names).toEqual(['Tables']);
    await page.reload();
    await expect.poll(() => page.locator('h1').innerText()).toBe('Tables');
  });

  it('branch at an answer and go on by themselves', async () => {
    const trunk = page.url();
    await page.getByTestId('branch-here').first().click();
    await expect.poll(() => page.locator('h1').innerText().then(fold)).toBe('Tables (branch)');
    await settled(page, 1);
    await ask(page, '50000 tokens every 20 ms');
    await longEnough(page, 200);
    await page.getByTestId('stop').click();
    await page.getByText('Stopped. What was written is kept').waitFor();
    await page.reload();
    await settled(page, 2);
    await expect.poll(() => lastAnswer(page)).toContain('token token');
    await expect.poll(() => names()).toEqual(['Tables (branch)', 'Tables']);
    await page.goto(trunk);
    await settled(page, 2);
  });

  it('are saved with everything, also when they are not open', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), action('Tables (branch)', 'Save as JSON')]);
    const saved = JSON.parse(readFileSync(await download.path(), 'utf8'));
    expect(saved.runs.map((run: { question: string; status: string }) => `${run.question} ${run.status}`)).toEqual([
      'Show me all tables finished', '50000 tokens every 20 ms stopped',
    ]);
  });

  it('are deleted, and the other tabs hear of it', async () => {
    const tab = await openTab(page);
    await settled(tab, 2);
    await action('Tables', 'Delete');
    await page.getByTestId('delete-chat').click();
    await expect.poll(names).toEqual(['New chat', 'Tables (branch)']);
    await tab.getByTestId('deleted').waitFor();
    await tab.close();
    expect(complaints).toEqual([]);
  });
});
