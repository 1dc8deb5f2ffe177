//! Markdown tokens as React elements. No HTML string is ever made, so nothing in an answer can become markup.
//!
//! Images are not loaded (their address could carry data away); raw HTML is shown as the text that it is.

import type { Token, Tokens } from 'marked';
import { Fragment, memo, useRef, type ReactNode } from 'react';
import { useCopying } from '../shell/clipboard';
import { BlockReader, type Block } from './blocks';
import { CitedContext, CitedText, NOTHING_CITED } from './Citations';
import { decodeEntities, safeHref } from './text';

/** A whole answer. While `streaming`, only its last block is drawn again. */
export const Markdown = memo(function Markdown({ text, streaming }: { text: string; streaming: boolean }) {
  const reader = useRef<BlockReader>(null);
  reader.current ??= new BlockReader();
  const blocks = reader.current.read(text, !streaming);
  return (
    <div className="prose">
      {blocks.map((block) => (
        <BlockView key={block.start} block={block} />
      ))}
    </div>
  );
});

const BlockView = memo(function BlockView({ block }: { block: Block }) {
  return <>{renderBlock(block.token as Tokens.Generic)}</>;
});

function renderBlocks(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => <Fragment key={index}>{renderBlock(token)}</Fragment>);
}

function renderBlock(token: Token): ReactNode {
  switch (token.type) {
    case 'heading':
      return <Heading token={token as Tokens.Heading} />;
    case 'paragraph':
      return <p>{renderInline(token.tokens)}</p>;
    case 'text':
      return token.tokens ? renderInline(token.tokens) : <CitedText text={decodeEntities(token.text)} />;
    case 'code':
      return <CodeBlock token={token as Tokens.Code} />;
    case 'list':
      return <List token={token as Tokens.List} />;
    case 'table':
      return <Table token={token as Tokens.Table} />;
    case 'blockquote':
      return <blockquote>{renderBlocks(token.tokens)}</blockquote>;
    case 'hr':
      return <hr />;
    case 'space':
    case 'def':
    case 'checkbox':
      return null;
    case 'html':
      return <p>{token.raw}</p>;
    default:
      return renderInline([token]);
  }
}

/** An answer's headings lie below the page's own; the deepest look the same. */
function Heading({ token }: { token: Tokens.Heading }) {
  const content = renderInline(token.tokens);
  if (token.depth === 1) return <h3 data-depth="1">{content}</h3>;
  return token.depth === 2 ? <h3>{content}</h3> : <h4>{content}</h4>;
}

function List({ token }: { token: Tokens.List }) {
  const items = token.items.map((item, index) => <ListItem key={index} item={item} raw={item.raw} />);
  return token.ordered ? <ol start={token.start || 1}>{items}</ol> : <ul>{items}</ul>;
}

/** Compared by its source, so that a long list draws only the item that grows. */
const ListItem = memo(
  function ListItem({ item }: { item: Tokens.ListItem; raw: string }) {
    if (!item.task) return <li>{renderBlocks(item.tokens)}</li>;
    return (
      <li className="list-none">
        <input type="checkbox" checked={item.checked ?? false} readOnly tabIndex={-1} aria-label={item.checked ? 'done' : 'open'} />{' '}
        {renderBlocks(item.tokens)}
      </li>
    );
  },
  (before, after) => before.raw === after.raw,
);

/** Columns with a text longer than this get room for it; the table scrolls rather than stacking words. */
const LONG = 28;

function Table({ token }: { token: Tokens.Table }) {
  const isLong = token.header.map((_, column) => token.rows.some((row) => (row[column]?.text.length ?? 0) > LONG));
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>
          <tr>
            {token.header.map((cell, index) => (
              <th key={index} scope="col" data-align={cell.align ?? undefined} data-long={isLong[index] || undefined}>
                {renderInline(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <TableRow key={index} row={row} raw={row.map((cell) => cell.text).join('|')} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const TableRow = memo(
  function TableRow({ row }: { row: Tokens.TableCell[]; raw: string }) {
    return (
      <tr>
        {row.map((cell, index) => (
          <td key={index} data-align={cell.align ?? undefined}>
            {renderInline(cell.tokens)}
          </td>
        ))}
      </tr>
    );
  },
  (before, after) => before.raw === after.raw,
);

/** Lines of one piece of a code block; only the last piece changes while it streams. */
const PIECE = 80;

function CodeBlock({ token }: { token: Tokens.Code }) {
  const { copied, copy } = useCopying();
  return (
    <figure className="code-box">
      <figcaption>
        <span>{token.lang ?? ''}</span>
        <button type="button" aria-label={copied ? 'Copied' : 'Copy the code'} onClick={() => copy(token.text)}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      </figcaption>
      <pre tabIndex={0} aria-label={token.lang ? `Code, ${token.lang}` : 'Code'}>
        <code>
          {inPieces(token.text).map((piece, index) => (
            <CodePiece key={index} text={piece} />
          ))}
        </code>
      </pre>
    </figure>
  );
}

const CodePiece = memo(function CodePiece({ text }: { text: string }) {
  return <>{text}</>;
});

function inPieces(text: string): string[] {
  const lines = text.split('\n');
  const pieces: string[] = [];
  for (let at = 0; at < lines.length; at += PIECE) {
    pieces.push(lines.slice(at, at + PIECE).join('\n') + (at + PIECE < lines.length ? '\n' : ''));
  }
  return pieces;
}

function renderInline(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => <Fragment key={index}>{renderSpan(token)}</Fragment>);
}

function renderSpan(token: Token): ReactNode {
  switch (token.type) {
    case 'strong':
      return <strong>{renderInline(token.tokens)}</strong>;
    case 'em':
      return <em>{renderInline(token.tokens)}</em>;
    case 'del':
      return <del>{renderInline(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return <Link token={token as Tokens.Link} />;
    case 'image':
      return <Link token={{ ...(token as Tokens.Image), type: 'link', tokens: [] } as unknown as Tokens.Link} />;
    case 'escape':
      return token.text;
    case 'checkbox':
      return null;
    case 'text':
      return token.tokens ? renderInline(token.tokens) : <CitedText text={decodeEntities(token.text)} />;
    default:
      return token.raw;
  }
}

function Link({ token }: { token: Tokens.Link }) {
  const content = token.tokens.length > 0 ? renderInline(token.tokens) : token.text || token.href;
  const href = safeHref(token.href);
  if (href === undefined) return <>{content}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {/* A mark in a link's text is part of the link. */}
      <CitedContext value={NOTHING_CITED}>{content}</CitedContext>
    </a>
  );
}
