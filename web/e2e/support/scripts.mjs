//! What the stand-in server answers, chosen by words in the question, and the catalogue that it shows.

const SUBJECTS = [
  ['purchase_order', 'Purchase orders, one row an order line'],
  ['delivery', 'Goods receipts with planned and true dates'],
  ['invoice', 'Invoices that suppliers sent'],
  ['contract', 'Frame contracts and their call-offs'],
  ['stock_movement', 'Movements in and out of stock'],
  ['price_history', 'Prices per supplier and product over time'],
];
const DIMENSIONS = [
  ['supplier', 'Suppliers with country, rating and payment terms'],
  ['product', 'Products with group, unit and weight'],
  ['date', 'Calendar days with week, month and fiscal period'],
  ['plant', 'Plants and warehouses'],
  ['buyer', 'People who order, with their team'],
  ['currency', 'Currencies with their rates'],
];

/** A catalogue of `size` tables; none at all for 0. */
export function catalogOf(size) {
  const tables = Array.from({ length: size }, (_, index) => tableOf(index));
  const suggestions = ['Show me all tables', 'How are purchase orders related to suppliers?', 'Which tables tell me about late deliveries?'];
  const facts = tables.filter((table) => table.table_type === 'FACT').length;
  const metrics = {
    total_tables: size, total_columns: tables.reduce((sum, table) => sum + table.column_count, 0),
    facts_count: facts, dimensions_count: size - facts, relationships_count: facts * 4,
  };
  return { tables, suggestions: size === 0 ? [] : suggestions, agents: ['explorer', 'assistant'], documents: [], metrics };
}

function tableOf(index) {
  const isFact = index % 2 === 0;
  const half = Math.floor(index / 2);
  const list = isFact ? SUBJECTS : DIMENSIONS;
  const [noun, description] = list[half % list.length];
  const round = Math.floor(half / list.length);
  const name = `${isFact ? 'factv' : 'dimv'}_${noun}${round === 0 ? '' : `_${['monthly', 'plan', 'archive', 'eu', 'us', 'apac', 'draft', 'audit'][round - 1] ?? round}`}`;
  const schema = round % 2 === 0 ? 'purchase_mart' : 'planning_mart';
  return { name, full_name: `${schema}.${name}`, table_type: isFact ? 'FACT' : 'DIMENSION', schema, description, column_count: 12 + ((index * 7) % 31) };
}

const DIAGRAM = `erDiagram
    factv_purchase_order {
        string order_key PK
        string supplier_key FK
        string product_key FK
        string plant_key FK
        date order_date FK
        decimal ordered_quantity
        decimal ordered_value
    }
    dimv_supplier {
        string supplier_key PK
        string supplier_name
        string country
        string rating
    }
    dimv_product {
        string product_key PK
        string product_group
        string unit
    }
    dimv_plant {
        string plant_key PK
        string plant_name
    }
    dimv_date {
        date date_key PK
        string fiscal_period
    }
    factv_purchase_order }o--|| dimv_supplier : "supplier_key"
    factv_purchase_order }o--|| dimv_product : "product_key"
    factv_purchase_order }o--|| dimv_plant : "plant_key"
    factv_purchase_order }o--|| dimv_date : "order_date"
`;

const RELATIONSHIPS = [
  ['dimv_supplier', 'supplier_key'], ['dimv_product', 'product_key'], ['dimv_plant', 'plant_key'], ['dimv_date', 'order_date'],
].map(([to_table, join_column]) => ({ from_table: 'factv_purchase_order', to_table, join_column, relationship_type: 'FK', confidence: 0.98 }));

const RELATED = `Each order line in \`factv_purchase_order\` names **one** supplier through \`supplier_key\`, so a supplier has many order lines and an order line has exactly one supplier.

| From | Column | To | Kind |
| --- | --- | --- | --- |
| \`factv_purchase_order\` | \`supplier_key\` | \`dimv_supplier\` | FK |
| \`factv_purchase_order\` | \`product_key\` | \`dimv_product\` | FK |
| \`factv_purchase_order\` | \`plant_key\` | \`dimv_plant\` | FK |
| \`factv_purchase_order\` | \`order_date\` | \`dimv_date\` | FK |

To see what was ordered from whom:

\`\`\`sql
select s.supplier_name, sum(o.ordered_value) as value
from purchase_mart.factv_purchase_order o
join purchase_mart.dimv_supplier s using (supplier_key)
group by s.supplier_name
order by value desc
\`\`\`

1. Deliveries reach the same supplier through their order line.
2. The supplier's *rating* is kept as it was on the order date.`;

const STORY = 'The order line is where everything meets: it names its supplier, its product, its plant and the day on which it was placed. ';

/** The steps of an answer, what its last frame carries, and how it ends if not well. */
export function script(question) {
  if (/hostile source/i.test(question)) return hostileSources();
  if (/key|document/i.test(question)) return fromDocuments();
  if (/commit/i.test(question)) return committing(/two/i.test(question));
  if (/odd diagram/i.test(question)) return withDiagram(ODD_DIAGRAM);
  if (/bad diagram/i.test(question)) return withDiagram('erDiagram\n    a }o--|| : x');
  if (/related|relationship|diagram/i.test(question)) return related(question);
  if (/all tables/i.test(question)) return allTables();
  if (/wide/i.test(question)) return { steps: [{ text: wideText() }] };
  if (/long/i.test(question)) return { steps: [{ text: longText(), tokenMs: 2 }] };
  if (/slow/i.test(question)) return { steps: [{ text: STORY.repeat(12), tokenMs: 60 }] };
  if (/fail/i.test(question)) return failing();
  if (/hostile/i.test(question)) return { steps: [{ text: HOSTILE }] };
  if (/late deliver/i.test(question)) return manyTools();
  return { steps: [{ text: 'Hello! I can tell you which tables there are, how they are related, and what is in them.' }] };
}

const PASSAGES = [
  {
    id: 'documents/keys-00003', title: 'Keys', source: 'docs/guide/keys.md', score: 0.93, collection: 'documents', record: 'keys-00003', section: 'Keys › Revoking a key',
    passage: 'A key is shown once, when it is made; the server keeps its hash alone.\n\nRevoking a key closes what is open with it: sockets, streams and tickets end within a second. Tokens that were traded for the key are refused from then on. Chats and records that were made with it stay.',
    sentence: 'Revoking a key closes what is open with it: sockets, streams and tickets end within a second.',
  },
  {
    id: 'documents/deploying-00007', title: 'Deploying', source: 'docs/guide/deploying.md', url: 'https://example.org/docs/deploying', score: 0.71, collection: 'documents', record: 'deploying-00007', section: 'Deploying › Keys and origins',
    passage: 'Without a key the server listens on this machine alone. The first key that is added ends what was opened without one. Each browser tab keeps its key for itself and trades it for a ticket that is good for one socket and thirty seconds.',
    sentence: 'The first key that is added ends what was opened without one.',
  },
  {
    id: 'documents/http-00012', title: 'HTTP', source: 'docs/guide/http.md', score: 0.44, collection: 'documents', record: 'http-00012', section: 'HTTP › Streams',
    passage: 'A stream of changes ends with an error event when its key is revoked, so that a client can tell it from a lost connection.',
    sentence: 'A stream of changes ends with an error event when its key is revoked',
  },
].map(({ sentence, ...source }) => {
  const start = source.passage.indexOf(sentence);
  return { ...source, highlights: [{ start, end: start + sentence.length }] };
});

function fromDocuments() {
  return {
    steps: [
      { step: 'routing_split', ms: 12 }, { step: 'rewrite', ms: 30 }, { step: 'retrieve', ms: 180 }, { step: 'rerank', ms: 25 },
      { step: 'combine_context', ms: 5 }, { step: 'doc_to_sources', ms: 8 }, { sources: PASSAGES }, { step: 'generate_answer', ms: 60 },
      { text: 'Revoking a key **closes what is open with it**: sockets, streams and tickets end within a second [1], and a stream of changes says so with an `error` event [3]. Tokens that were traded for the key are refused from then on [1].\n\nThe first key that is added has the same effect on what was opened without one [2]. No document says how long a revoked key stays in the list [7].' },
    ],
  };
}

function committing(two) {
  const commit = { tool: 'git_commit', arguments: { repo_path: '/srv/handbook', message: 'Say what revoking a key does' }, result: { commit: '4f1c2ab' } };
  const push = { tool: 'git_push', arguments: { remote: 'origin', branch: 'main' }, result: { pushed: true } };
  return {
    steps: [
      { step: 'routing_split', ms: 10 }, { step: 'tool_routing', ms: 40 }, { step: 'run_tool', ms: 5 },
      { ask: two ? [commit, push] : [commit] },
      { step: 'generate_answer', ms: 20 },
      { text: 'That is what you decided; the log has it.' },
    ],
  };
}

/** What a document may say of itself to whoever shows it. */
function hostileSources() {
  const evil = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
  const source = (more) => ({ id: 'x', title: evil, source: evil, section: evil, passage: `${evil} **bold** [a](javascript:window.broken=1)`, score: 0.5, ...more });
  return {
    steps: [
      { sources: [
        source({ url: 'javascript:window.broken=1', highlights: [{ start: 0, end: 20 }, { start: 10, end: 9999 }] }),
        source({ url: 'data:text/html,<script>window.broken=1</script>', title: '\u202Egnp.exe\u202C', collection: '../api', record: '" or 1=1' }),
        source({ url: ' https://user:pass@example.org/"onmouseover="window.broken=1', score: 9 }),
      ] },
      { text: `${evil} says [1], [2] and [3], but never [4].` },
    ],
  };
}

function related(question) {
  const canvas_trigger = { action: 'switch_view', view_type: 'er_diagram', reason: 'the question is about relations', confidence: /maybe/i.test(question) ? 0.4 : 0.85 };
  return {
    steps: [{ tool: 'find_relationships', arguments: { table_name: 'factv_purchase_order' }, result: RELATIONSHIPS, ms: 120 }, { text: RELATED }],
    answer: { diagram: DIAGRAM, canvas_trigger },
  };
}

function withDiagram(diagram) {
  const canvas_trigger = { action: 'switch_view', view_type: 'er_diagram', reason: 'it was asked for', confidence: 0.9 };
  return { steps: [{ text: 'Here it is.' }], answer: { diagram, canvas_trigger } };
}

function allTables() {
  const tables = catalogOf(90).tables;
  const rows = tables.slice(0, 12).map((table) => `| \`${table.name}\` | ${table.table_type.toLowerCase()} | ${table.column_count} | ${table.description} |`);
  return {
    steps: [
      { tool: 'list_tables', arguments: {}, result: tables, ms: 8 },
      { text: `There are **90 tables** in two schemas. The largest part is about purchasing:\n\n| Table | Kind | Columns | What is in it |\n| --- | --- | ---: | --- |\n${rows.join('\n')}\n\nThe full list is on the canvas; choose a table there to ask about it.` },
    ],
    answer: { canvas_trigger: { action: 'switch_view', view_type: 'table_list', reason: 'the question asks for tables', confidence: 0.75 } },
  };
}

function manyTools() {
  return {
    steps: [
      { tool: 'search_columns', arguments: { pattern: '*delivery*' }, result: [{ table: 'factv_delivery', column: 'delivery_date' }], ms: 30 },
      { tool: 'get_table_details', arguments: { table_name: 'factv_delivery' }, result: { grain: 'one row a receipt', measures: ['delay_days'] }, ms: 14 },
      { tool: 'get_lineage', arguments: { table_name: 'factv_delivery' }, result: 'No lineage is known for factv_delivery; near matches: factv_delivery_plan', ms: 9, is_error: true },
      { tool: 'query_collection', arguments: { collection: 'catalog_columns', limit: 5 }, result: { total: 2, rows: [{ name: 'delay_days', type: 'integer' }, { name: 'planned_date', type: 'date' }] }, ms: 1440 },
      { text: 'Late deliveries are in `factv_delivery`: the measure `delay_days` is the difference between the planned and the true date.' },
    ],
  };
}

function failing() {
  return {
    steps: [{ text: 'Purchase orders are kept in ' }],
    ending: { status: 'failed', error: { content: 'The model stopped answering; ask again in a moment', code: 'BACKEND_ERROR', trace_id: 'tr_1', retryable: true } },
  };
}

const HOSTILE = `<img src=x onerror="window.broken=1"><script>window.broken=1</script>

![a chart](https://example.org/pixel.png?data=secret) and [a link](javascript:window.broken=1) and [a true one](https://example.org/).`;

/** Names that the grammar would misread are written around; directives and markup must not get through. */
const ODD_DIAGRAM = `%%{init: {"securityLevel": "loose", "htmlLabels": true, "er": {"htmlLabels": true}}}%%
erDiagram
    entity_1 }o--|| entity_2 : "<img src='https://example.org/edge.png' onerror='window.broken=1'>"
    entity_1["say #34;hi#34; #38; more"] {
        decimal _pk "pk"
        decimal unnamed "<b onclick='window.broken=1'>bold</b>"
    }
    entity_2["direction#32;TB"] {
    }
    entity_more["and 7 more tables"]
`;

/** Code with long lines, a table with many columns, and a word without an end. */
function wideText() {
  const columns = Array.from({ length: 14 }, (_, index) => `column_number_${index + 1}`);
  const row = columns.map((_, index) => `${(index + 1) * 1234.5}`);
  const lines = Array.from({ length: 40 }, (_, index) => `select ${columns.slice(0, 3 + (index % 9)).join(', ')} from purchase_mart.factv_purchase_order -- line ${index + 1}`);
  return `A long query:\n\n\`\`\`sql\n${lines.join('\n')}\n\`\`\`\n\nA wide table:\n\n| ${columns.join(' | ')} |\n| ${columns.map(() => '---:').join(' | ')} |\n| ${row.join(' | ')} |\n| ${row.join(' | ')} |\n\nAnd a path: /srv/${'very-long-folder-name/'.repeat(8)}file.csv, \`${'an_identifier_without_an_end_'.repeat(5)}\`.`;
}

function longText() {
  const part = (number) => `## Part ${number}\n\n${STORY.repeat(3)}\n\n- \`factv_purchase_order\` holds the **lines**\n- \`dimv_supplier\` holds the *names*\n\n`;
  return Array.from({ length: 40 }, (_, index) => part(index + 1)).join('');
}
