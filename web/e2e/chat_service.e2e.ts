//! Steps, sources, decisions, models and the list of chats against the scripted server: what a person sees and does.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Download, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DESKTOP, PHONE, launch } from './support/browser.mjs';
import { startMock } from './support/mock-server.mjs';
import { ask, fold, lastAnswer, picture, settled, traces } from './support/page.ts';

type Mock = Awaited<ReturnType<typeof startMock>>;

let browser: Browser;
let mock: Mock;
let context: BrowserContext;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
});
afterEach(async () => {
  await context?.close();
  await mock?.close();
  complaints.length = 0;
});

async function open(options: Parameters<typeof startMock>[0] = {}, device: object = { viewport: DESKTOP }): Promise<Page> {
  mock = await startMock({ tokenMs: 2, ...options });
  context = await browser.newContext({ colorScheme: 'light', ...device });
  return openTab();
}

async function openTab(session = 's1'): Promise<Page> {
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${mock.url}/#/c/${session}`);
  return page;
}

const source = (page: Page, number: number) => page.locator(`[data-testid=source][data-number="${number}"]`);
const focused = (page: Page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
/** Until the approval card is there; gives it. */
async function asked(page: Page) {
  const card = page.locator('[data-testid=approval][data-state=waiting]').first();
  await card.waitFor();
  return card;
}
const outcomes = async (page: Page) => (await page.getByTestId('approval').allInnerTexts()).map(fold).map((text) => text.replace(/ · .*/, ''));

describe('sources', () => {
  it('follow their marks in the answer to the sentences that say it', async () => {
    const page = await open();
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    // The answer cites a seventh source that there is not: it stays text.
    await expect.poll(() => page.getByTestId('citation').allInnerTexts()).toEqual(['1', '3', '1', '2']);
    await expect.poll(() => lastAnswer(page)).toContain('stays in the list [7].');
    expect(await page.getByTestId('canvas').count()).toBe(0);
    await page.getByTestId('citation').nth(1).click();
    await source(page, 3).getByTestId('passage').waitFor();
    await expect.poll(() => source(page, 3).locator('mark').allInnerTexts()).toEqual(['A stream of changes ends with an error event when its key is revoked']);
    await expect.poll(() => source(page, 3).innerText().then(fold)).toContain('HTTP › Streams');
    await page.getByTestId('citation').nth(3).click();
    await expect.poll(() => source(page, 2).getByRole('link', { name: 'Open at example.org' }).getAttribute('href')).toBe('https://example.org/docs/deploying');
    await expect.poll(() => source(page, 2).getByRole('link', { name: 'Show the record' }).getAttribute('href')).toBe('#/d/documents?filter=id+%3D+%22deploying-00007%22');
    expect(complaints).toEqual([]);
  });

  it('are reached and left by keyboard', async () => {
    const page = await open();
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await page.getByTestId('citation').first().focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => focused(page)).toContain('Revoking a key');
    await page.keyboard.press('Enter');
    await expect.poll(() => source(page, 1).getAttribute('data-open')).toBe('false');
    await page.keyboard.press('Escape');
    await expect.poll(() => focused(page)).toBe('Source 1: Keys');
  });

  it('move only their own list, however long it is', async () => {
    const page = await open({}, { viewport: { width: 1280, height: 420 } });
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await page.getByTestId('citation').last().focus();
    await page.keyboard.press('Enter');
    for (const number of [1, 2, 3]) {
      if ((await source(page, number).getAttribute('data-open')) === 'false') await source(page, number).getByRole('button').first().click();
      await source(page, number).getByTestId('passage').waitFor();
    }
    await source(page, 3).getByRole('button').first().focus();
    expect(await page.getByTestId('sources').evaluate((list) => list.scrollHeight > list.clientHeight)).toBe(true);
    expect(await page.evaluate(() => [document.documentElement.scrollTop, document.documentElement.scrollHeight - innerHeight])).toEqual([0, 0]);
  });

  it('are kept over a reload, and offered below the answer', async () => {
    const page = await open();
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await page.reload();
    await page.getByTestId('show-sources').click();
    await expect.poll(() => page.getByTestId('source').count()).toBe(3);
    await expect.poll(() => source(page, 1).getAttribute('data-open')).toBe('true');
  });

  it('from hostile documents are only text, and fetch nothing', async () => {
    const page = await open();
    const foreign: string[] = [];
    page.on('request', (request) => request.url().startsWith(mock.url) || foreign.push(request.url()));
    await ask(page, 'hostile source');
    await settled(page, 1);
    await expect.poll(() => page.getByTestId('citation').count()).toBe(3);
    for (const number of [1, 2, 3]) {
      await page.getByTestId('citation').nth(number - 1).click();
      await source(page, number).getByTestId('passage').waitFor();
    }
    const panel = page.getByTestId('sources');
    expect(await panel.innerText()).toContain('<img src=x onerror="window.broken=1">');
    expect(await panel.locator('img, script, iframe, [onerror], [onmouseover], strong').count()).toBe(0);
    // An address that runs or reads is no link, and one that leads out says where to.
    const links = await panel.getByRole('link').evaluateAll((all) => all.map((link) => [link.textContent?.trim(), link.getAttribute('href'), link.getAttribute('rel')]));
    expect(links).toEqual([
      ['Show the record', '#/d/..%2Fapi?filter=id+%3D+%22%5C%22+or+1%3D1%22', null],
      ['Open at example.org', 'https://user:pass@example.org/"onmouseover="window.broken=1', 'noopener noreferrer nofollow'],
    ]);
    expect(await source(page, 1).locator('mark').count()).toBe(1);
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
    expect(foreign.filter((url) => /^https?:/.test(url))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

describe('steps', () => {
  it('are one line that changes in place, folds, and opens to all with their times', async () => {
    const page = await open({ tokenMs: 30 });
    await ask(page, 'What does revoking a key do?');
    await page.locator('[data-testid=steps][data-running=true]').getByText('Searching the documents').waitFor();
    await picture(page, 'chat-busy');
    expect(await page.getByTestId('steps').count()).toBe(1);
    await settled(page, 1);
    const line = page.getByTestId('steps');
    await expect.poll(() => line.innerText().then(fold)).toMatch(/^Found 3 sources · 7 steps · [\d.]+ m?s$/);
    await line.getByRole('button').click();
    const steps = (await page.getByTestId('step').allInnerTexts()).map(fold);
    await picture(page, 'chat-steps');
    expect(steps.length).toBe(7);
    expect(steps[2]).toMatch(/^Searched the documents \d+ ms$/);
  });
});

describe('a tool that asks first', () => {
  it('shows exactly what it will do, survives a reload, and is done when it is allowed', async () => {
    const page = await open();
    await ask(page, 'please commit');
    await asked(page);
    await page.reload();
    const card = await asked(page);
    const text = await card.innerText().then(fold);
    expect(text).toContain('The assistant asks to use git_commit');
    expect(text).toContain('Records changes to the repository');
    expect(text).toContain('"message": "Say what revoking a key does"');
    expect(text).toMatch(/(?:5:00|4:5\d) left/);
    await card.getByTestId('approve').click();
    await settled(page, 1);
    await expect.poll(() => outcomes(page)).toEqual(['git_commit Allowed by you']);
    expect((await page.getByTestId('tool-row').allInnerTexts()).map(fold)).toEqual(['git_commit · 84 ms']);
    await page.reload();
    await page.getByTestId('approval').getByRole('button').click();
    await page.getByText('5f5f5f').waitFor();
  });

  it('can be answered from any tab, once', async () => {
    const page = await open();
    await ask(page, 'please commit');
    await asked(page);
    const other = await openTab();
    await (await asked(other)).getByTestId('refuse').click();
    await settled(page, 1);
    await settled(other, 1);
    expect([await outcomes(page), await outcomes(other)]).toEqual([['git_commit Refused by you'], ['git_commit Refused by you']]);
    // It was not used, so there is no use to look into.
    expect(await page.getByTestId('tool-row').count()).toBe(0);
    expect(mock.session('s1').received.filter((frame: { type?: string }) => frame.type === 'decide').length).toBe(1);
  });

  it('may stand beside another one; each has its own answer, and a stop ends what is left', async () => {
    const page = await open();
    await ask(page, 'please commit two');
    await asked(page);
    await expect.poll(() => page.getByTestId('approval').count()).toBe(2);
    await page.getByTestId('approve').first().click();
    await page.locator('[data-testid=approval][data-state=approved]').waitFor();
    await page.getByTestId('stop').click();
    await page.getByText('Not used: the answer was stopped first').waitFor();
    await expect.poll(() => outcomes(page)).toEqual(['git_commit Allowed by you', 'git_push Not used: the answer was stopped first']);
  });

  it('cannot be answered without a connection, and can again afterwards', async () => {
    const page = await open();
    await ask(page, 'please commit');
    const card = await asked(page);
    mock.state.down = true;
    mock.cut();
    await card.getByText('You can decide when the connection is back').waitFor();
    await expect.poll(() => card.getByTestId('approve').isDisabled()).toBe(true);
    await picture(page, 'chat-offline');
    mock.state.down = false;
    await page.getByTestId('try-now').click();
    await (await asked(page)).getByTestId('approve').click();
    await settled(page, 1);
    await expect.poll(() => outcomes(page)).toEqual(['git_commit Allowed by you']);
  });

  it('runs out of time', async () => {
    const page = await open();
    mock.session('s1').waitMs = 1_500;
    await ask(page, 'please commit');
    await asked(page);
    await page.getByText('Not used: nobody decided in time').waitFor();
    await picture(page, 'chat-expired');
  });

  it('is answered by keyboard and announced', async () => {
    const page = await open();
    await ask(page, 'please commit');
    await asked(page);
    await expect.poll(() => page.getByTestId('announcer').innerText()).toContain('asks to use git_commit');
    await page.getByTestId('approve').focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await settled(page, 1);
    await expect.poll(() => outcomes(page)).toEqual(['git_commit Refused by you']);
  });
});

describe('who answers', () => {
  it('is chosen from the server\'s models, kept, and sent with each message', async () => {
    const page = await open();
    await page.getByTestId('model-menu').click();
    // The list of models may still be on its way when the menu opens.
    await expect.poll(async () => (await page.getByTestId('model-choice').allInnerTexts()).map(fold)).toEqual(['Standard smollm2-135m', 'gpt-5-mini', 'gpt-5', 'claude-haiku-5']);
    await page.getByText('gpt-5-mini').click();
    await page.getByTestId('model-menu').click();
    await page.getByTestId('ask-first').click();
    expect((await page.getByTestId('agent-choice').allInnerTexts()).map(fold)).toEqual(['Tables alone', 'Documents and tables']);
    await expect.poll(() => page.getByTestId('agent-choice').nth(1).getAttribute('aria-checked')).toBe('true');
    await page.getByTestId('agent-choice').first().click();
    await page.reload();
    await page.getByTestId('suggestion').first().waitFor();
    await ask(page, 'hello');
    await settled(page, 1);
    expect(mock.session('s1').received.find((frame: { content?: string }) => frame.content === 'hello')).toMatchObject({ agent: 'explorer', model: 'openai/gpt-5-mini', confirm_tools: ['*'] });
    await expect.poll(() => page.getByTestId('model-menu').innerText().then(fold)).toBe('gpt-5-mini asks first');
  });
});

describe('the list of chats', () => {
  const actions = async (page: Page, title: string, item: string) => {
    await page.getByTestId('chats').getByRole('link', { name: title, exact: true }).hover();
    await page.getByRole('button', { name: `Actions for ${title}`, exact: true }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  const names = async (page: Page) => (await page.getByTestId('chats').getByRole('link').allInnerTexts()).map(fold);
  const read = async (download: Download) => readFileSync(await download.path(), 'utf8');

  it('renames a chat', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    await actions(page, 'hello', 'Rename');
    await page.getByLabel('Title').fill('A greeting');
    await page.keyboard.press('Enter');
    await expect.poll(() => names(page)).toEqual(['A greeting']);
    await expect.poll(() => page.locator('h1').innerText()).toBe('A greeting');
  });

  it('branches a chat at an answer, and goes on there', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    await ask(page, 'What does revoking a key do?');
    await settled(page, 2);
    await page.getByTestId('branch-here').first().click();
    await expect.poll(() => page.locator('h1').innerText().then(fold)).toBe('hello (branch)');
    await expect.poll(() => page.getByTestId('message-agent').count()).toBe(1);
    await expect.poll(() => lastAnswer(page)).toContain('Hello! I can tell you');
    await ask(page, 'relationship');
    await settled(page, 2);
    await expect.poll(() => names(page)).toEqual(['hello (branch)', 'hello']);
  });

  it('keeps everything that was shown over a reload, in another tab and in a branch', async () => {
    const page = await open();
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await ask(page, 'please commit two');
    await asked(page);
    await page.getByTestId('approve').first().click();
    await page.locator('[data-testid=approval][data-state=approved]').waitFor();
    await page.getByTestId('refuse').click();
    await settled(page, 2);
    const shown = await traces(page);
    expect(shown).toMatchObject({
      steps: [expect.stringContaining('Found 3 sources'), expect.stringContaining('4 steps')],
      'tool-row': ['git_commit · 84 ms'],
      approval: [expect.stringContaining('git_commit Allowed by you'), expect.stringContaining('git_push Refused by you')],
      'show-sources': ['3 sources'],
    });
    await page.reload();
    await expect.poll(() => traces(page)).toEqual(shown);
    const other = await openTab();
    await expect.poll(() => traces(other)).toEqual(shown);
    await other.getByTestId('branch-here').last().click();
    await expect.poll(() => other.locator('h1').innerText().then(fold)).toMatch(/\(branch\)$/);
    await expect.poll(() => traces(other)).toEqual(shown);
    await other.getByTestId('citation').first().click();
    await source(other, 1).getByTestId('passage').waitFor();
  });

  it('says of a branch that it is one, however long its title is', async () => {
    const page = await open();
    await ask(page, 'How are the purchase orders of all plants related to suppliers, invoices, contracts and prices?');
    await settled(page, 1);
    await page.getByTestId('branch-here').click();
    const item = page.getByTestId('chats').getByRole('link').first();
    await expect.poll(() => item.innerText().then(fold)).toMatch(/\(branch\)$/);
    for (const place of [item, page.locator('h1')]) {
      const [outer, ending] = [await place.boundingBox(), await place.getByText('(branch)').boundingBox()];
      if (outer === null || ending === null) throw new Error('it is not shown');
      expect(ending.x + ending.width).toBeLessThanOrEqual(outer.x + outer.width);
    }
  });

  it('saves a chat that is not open, as Markdown and as JSON', async () => {
    const page = await open();
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await page.getByTestId('new-chat').click();
    await page.getByText('tables to ask about').waitFor();
    const [markdown] = await Promise.all([page.waitForEvent('download'), actions(page, 'What does revoking a key do?', 'Save as Markdown')]);
    expect(await read(markdown)).toContain('Sources:\n\n1. Keys · Keys › Revoking a key · docs/guide/keys.md');
    const [json] = await Promise.all([page.waitForEvent('download'), actions(page, 'What does revoking a key do?', 'Save as JSON')]);
    expect(json.suggestedFilename()).toBe('what-does-revoking-a-key-do.json');
    expect(JSON.parse(await read(json)).runs[0].sources.length).toBe(3);
  });

  it('deletes a chat when it is sure, and says so in the other tabs', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    const other = await openTab();
    await settled(other, 1);
    await actions(page, 'hello', 'Delete');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => names(page)).toEqual(['hello']);
    await actions(page, 'hello', 'Delete');
    await page.getByTestId('delete-chat').waitFor();
    await picture(page, 'chat-delete');
    await page.getByTestId('delete-chat').click();
    await expect.poll(() => names(page)).toEqual(['New chat']);
    await other.getByTestId('deleted').waitFor();
    expect(await other.getByTestId('composer').count()).toBe(0);
    await picture(other, 'chat-deleted');
  });

  it('keeps what could not be done on the screen, with the reason', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    await page.route('**/api/chat/*', (route) => route.abort());
    await actions(page, 'hello', 'Rename');
    await page.getByLabel('Title').fill('A greeting');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('The server cannot be reached').waitFor();
    await expect.poll(() => page.getByLabel('Title').inputValue()).toBe('A greeting');
  });
});

describe('for everybody', () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  type Axe = { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
  /** What the checker finds wrong. An open menu lies outside of every landmark, as it should: it is gone with the next key. */
  async function faults(page: Page, menuIsOpen = false): Promise<string[]> {
    await page.evaluate(axe);
    const found = await page.evaluate(async (region) => {
      const result = await (window as unknown as { axe: Axe }).axe.run({ rules: { region: { enabled: region } } });
      return result.violations;
    }, !menuIsOpen);
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
  }

  it.each(['light', 'dark'] as const)('has no fault that a checker finds, %s', async (colorScheme) => {
    const page = await open({}, { viewport: DESKTOP, colorScheme, reducedMotion: 'reduce' });
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await page.getByTestId('citation').first().click();
    await source(page, 1).getByTestId('passage').waitFor();
    await picture(page, `chat-sources-${colorScheme}`);
    expect(await faults(page)).toEqual([]);
    await ask(page, 'please commit two');
    await asked(page);
    await page.getByTestId('refuse').last().click();
    await page.locator('[data-state=refused]').waitFor();
    await picture(page, `chat-approval-${colorScheme}`);
    expect(await faults(page)).toEqual([]);
    await page.getByTestId('model-menu').click();
    await page.getByText('claude-haiku-5').waitFor();
    await picture(page, `chat-models-${colorScheme}`);
    expect(await faults(page, true)).toEqual([]);
  });

  it('fits a phone: sources in a sheet, the card in the column', async () => {
    const page = await open({}, { viewport: PHONE, hasTouch: true, isMobile: true, colorScheme: 'dark' });
    await ask(page, 'What does revoking a key do?');
    await settled(page, 1);
    await picture(page, 'chat-phone-answer');
    await page.getByTestId('citation').first().click();
    await source(page, 1).getByTestId('passage').waitFor();
    await picture(page, 'chat-phone-sources');
    expect(await faults(page)).toEqual([]);
    await page.getByTestId('close-canvas').click();
    await ask(page, 'please commit');
    await asked(page);
    await picture(page, 'chat-phone-approval');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE.width);
    await page.getByTestId('approve').click();
    await settled(page, 2);
    await page.getByRole('button', { name: 'Chats', exact: true }).click();
    await page.getByTestId('chat-actions').first().click();
    await page.getByRole('menuitem', { name: 'Rename' }).waitFor();
    await picture(page, 'chat-phone-list');
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await page.getByLabel('Title').fill('Keys');
    await picture(page, 'chat-phone-rename');
    expect(await faults(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.getByTestId('chats').getByText('Keys', { exact: true }).waitFor();
  });
});
