//! A person with documents: read them in, ask, follow a source, agree to a tool after a reload, stop, branch.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launch } from './support/browser.mjs';
import { ask, fold, lastAnswer, longEnough, open, openTab, picture, settled, traces } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

/** A small handbook; only one of its passages answers the question below. */
const HANDBOOK = {
  'keys.md': `# Keys

## Making a key

A key is shown once, when it is made. The server keeps a hash of it and nothing else.

## Revoking a key

When a key is revoked, every socket and stream that was opened with it is closed within a second. Tokens that were traded for it are refused from then on.
`,
  'backups.md': `# Backups

## Every night

The night shift copies the data folder to the second machine at two o'clock. A copy that was not finished by four is reported to the person on call.

## Getting it back

Stop the server, put the folder of the last good copy in place, and start it again.
`,
  'canteen.html': '<h1>Canteen</h1><p>Lunch is from half past eleven to one. On Fridays there is fish.</p>',
};

describe('a chat about documents', () => {
  let server: TidewireServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    server = await TidewireServer.start('scripted');
    const folder = join(server.folder, 'handbook');
    mkdirSync(folder);
    for (const [name, text] of Object.entries(HANDBOOK)) writeFileSync(join(folder, name), text);
    server.command('ingest', '--words-only', folder);
    browser = await launch();
    page = await open(browser, server.url);
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('answers with citations that lead to the passage', async () => {
    await ask(page, 'What happens to open sockets when a key is revoked?');
    await settled(page, 1);
    await expect.poll(() => lastAnswer(page)).toContain('closed within a second');
    await page.getByTestId('citation').first().click();
    const passage = page.locator('[data-testid=source][data-open=true]').getByTestId('passage');
    await passage.waitFor();
    await expect.poll(() => passage.locator('mark').allInnerTexts().then((marks) => marks.join(' '))).toContain('closed within a second');
    await expect.poll(() => page.locator('[data-testid=source][data-open=true]').innerText()).toMatch(/keys/i);
    await picture(page, '9-source');
  });

  it('shows the steps that led to it', async () => {
    await page.getByTestId('steps').getByRole('button').click();
    expect((await page.getByTestId('step').allInnerTexts()).map(fold).join('; ')).toMatch(/Searched the documents \d+ ms.*Wrote the answer/);
    await page.getByTestId('close-canvas').click();
  });

  it('asks before a tool is used; the question survives a reload', async () => {
    await page.getByTestId('model-menu').click();
    await page.getByTestId('ask-first').click();
    await page.keyboard.press('Escape');
    await ask(page, 'Show me all tables');
    await page.getByTestId('approve').waitFor();
    await page.reload();
    const card = page.locator('[data-testid=approval][data-state=waiting]');
    await card.getByText('list_tables').first().waitFor();
    await picture(page, '10-approval');
    await card.getByTestId('approve').click();
    await settled(page, 2);
    await expect.poll(() => page.getByTestId('approval').innerText().then(fold)).toMatch(/^list_tables Allowed by you/);
    await expect.poll(() => page.getByTestId('tool-row').count()).toBe(1);
  });

  it('shows the same after a reload, in another tab and in a branch', async () => {
    const shown = await traces(page);
    expect(shown['steps']?.length).toBeGreaterThan(0);
    expect(shown['approval']).toEqual([expect.stringMatching(/^list_tables Allowed by you/)]);
    expect(shown['show-sources']?.length).toBeGreaterThan(0);
    expect(shown['citation']?.length).toBeGreaterThan(0);
    await page.reload();
    await expect.poll(() => traces(page)).toEqual(shown);
    const tab = await openTab(page);
    await expect.poll(() => traces(tab)).toEqual(shown);
    await tab.getByTestId('branch-here').last().click();
    await expect.poll(() => tab.locator('h1').innerText().then(fold)).toMatch(/\(branch\)$/);
    await expect.poll(() => traces(tab)).toEqual(shown);
    await tab.getByTestId('citation').first().click();
    const passage = tab.locator('[data-testid=source][data-open=true]').getByTestId('passage');
    await expect.poll(() => passage.locator('mark').allInnerTexts().then((marks) => marks.join(' '))).toContain('closed within a second');
    await tab.reload();
    await expect.poll(() => traces(tab)).toEqual(shown);
    await picture(tab, '10-branch-sources');
    // The branch of a branch has it all, too.
    await tab.getByTestId('branch-here').last().click();
    await expect.poll(() => tab.locator('h1').innerText().then(fold)).toMatch(/\(branch 2\)$/);
    await expect.poll(() => traces(tab)).toEqual(shown);
    await tab.close();
  });

  it('stops, and keeps what was written', async () => {
    // The model's own words: documents are left out of it.
    await page.getByTestId('model-menu').click();
    await page.getByTestId('agent-choice').getByText('Tables alone').click();
    await ask(page, '50000 tokens every 20 ms');
    await longEnough(page, 200);
    await page.getByTestId('stop').click();
    await page.getByText('Stopped. What was written is kept').waitFor();
    await settled(page, 3);
  });

  it('branches at the first answer and goes on there', async () => {
    const before = page.url();
    await page.getByTestId('branch-here').first().click();
    await expect.poll(() => page.url()).not.toBe(before);
    await expect.poll(() => page.locator('h1').innerText().then(fold)).toMatch(/\(branch\)$/);
    await expect.poll(() => page.getByTestId('message-agent').count()).toBe(1);
    await expect.poll(() => lastAnswer(page)).toContain('closed within a second');
    await ask(page, '5 tokens');
    await settled(page, 2);
    await picture(page, '11-branch');
    await expect.poll(() => page.getByTestId('chats').getByRole('link').count()).toBe(4);
    await page.reload();
    await settled(page, 2);
    await page.goto(before);
    await settled(page, 3);
    expect(complaints).toEqual([]);
  });
});
