//! Labelled questions. The router's examples and words may be changed until `KNOWN` is right; `HELD_OUT` measures, and
//! nothing is tuned to it.

use super::Intent;
use Intent::{Chat, Lineage, ListTables, Query, Relationships, SearchColumns, TableDetails};

/// A question and of which kind it is.
pub(crate) type Labelled = (&'static str, Intent);

/// May be tuned to.
pub(crate) const KNOWN: &[Labelled] = &[
    ("Show me all tables", ListTables),
    ("What tables do we have?", ListTables),
    ("list everything you have in the warehouse", ListTables),
    ("which fact tables exist?", ListTables),
    ("how many tables are there?", ListTables),
    ("Describe the supplier table", TableDetails),
    ("What columns does factv_purchase_order have?", TableDetails),
    ("tell me about deliveries", TableDetails),
    ("what is the grain of purchase orders?", TableDetails),
    ("How are purchase orders related to suppliers?", Relationships),
    ("How do I join deliveries with products?", Relationships),
    ("show the ER diagram for deliveries", Relationships),
    ("which dimensions does purchase orders connect to?", Relationships),
    ("Find columns with price", SearchColumns),
    ("which columns contain currency?", SearchColumns),
    ("where is the invoice number stored?", SearchColumns),
    ("Where does the delivery data come from?", Lineage),
    ("What is upstream of purchase orders?", Lineage),
    ("how often is dimv_supplier refreshed?", Lineage),
    ("how many orders are there?", Query),
    ("top 5 orders by amount", Query),
    ("show me the latest orders", Query),
    ("hello", Chat),
    ("Thank you, that helps", Chat),
    ("tell me a joke", Chat),
    ("Who are you?", Chat),
];

/// Measures; not tuned to.
pub(crate) const HELD_OUT: &[Labelled] = &[
    ("Could you give me a list of the available tables?", ListTables),
    ("I'd like to see every view in the mart schema", ListTables),
    ("what dimensions are in the catalogue", ListTables),
    ("What kind of data is in here?", ListTables),
    ("explain what is stored in dimv_product", TableDetails),
    ("structure of the plant table please", TableDetails),
    ("Which attributes does a supplier have?", TableDetails),
    ("what measures are in factv_delivery?", TableDetails),
    ("What connects deliveries and plants?", Relationships),
    ("is there a foreign key from purchase orders to dates?", Relationships),
    ("which tables reference the product dimension?", Relationships),
    ("relationships of factv_delivery", Relationships),
    ("Is there any field named discount?", SearchColumns),
    ("search for columns that end in _key", SearchColumns),
    ("in which tables can I find an email address?", SearchColumns),
    ("what would be affected if dimv_product changed?", Lineage),
    ("which sources feed the delivery fact?", Lineage),
    ("lineage for suppliers", Lineage),
    ("count all orders", Query),
    ("give me the ten largest orders", Query),
    ("show some rows from orders", Query),
    ("what's the number of orders with status open?", Query),
    ("Hi there!", Chat),
    ("good evening, how is it going?", Chat),
    ("what's the weather in Bratislava?", Chat),
    ("write me a short poem", Chat),
];
