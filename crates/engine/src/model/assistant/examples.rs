//! Example questions: what the router compares a question with.
//!
//! Names of tables are replaced by `orders` as they are in the question ([`Mentions::masked`]), so the examples say
//! how people ask and not about what. A kind of question that is routed wrongly gets an example here.
//!
//! [`Mentions::masked`]: super::slots::Mentions::masked

use super::Intent;

/// The questions that are of one kind.
pub(super) fn of(intent: Intent) -> &'static [&'static str] {
    match intent {
        Intent::ListTables => &[
            "show me all tables",
            "list the tables",
            "what tables are there",
            "which tables do you have",
            "how many tables are in the catalogue",
            "what data is available",
            "list everything you have",
            "what can I query in this warehouse",
            "show the fact tables",
            "which dimensions exist",
            "list all views in schema mart",
            "give me an overview of the data model",
        ],
        Intent::TableDetails => &[
            "describe orders",
            "tell me about the orders table",
            "what columns does orders have",
            "show me the structure of orders",
            "which fields are in orders",
            "what is the grain of orders",
            "what is the business key of orders",
            "which measures does orders contain",
            "what does orders store",
            "explain the table orders",
            "details of orders",
            "what is in orders",
            "list the columns of orders",
        ],
        Intent::Relationships => &[
            "how are orders related to orders",
            "what is the relationship between orders and orders",
            "how do I join orders with orders",
            "which tables are connected to orders",
            "show the foreign keys of orders",
            "what does orders reference",
            "draw the er diagram for orders",
            "which tables link to orders",
            "can orders be joined to orders",
            "what is orders associated with",
        ],
        Intent::SearchColumns => &[
            "find columns with price",
            "which columns contain currency",
            "search for fields named date",
            "where is the email address stored",
            "is there a column for weight",
            "which tables have a column like tax",
            "columns that end with key",
            "search columns for quantity",
            "in which table do I find the invoice number",
        ],
        Intent::Lineage => &[
            "where does orders come from",
            "show the lineage of orders",
            "what is upstream of orders",
            "which tables depend on orders",
            "what is downstream of orders",
            "what feeds orders",
            "from which source is orders loaded",
            "how often is orders refreshed",
            "what would break if orders changes",
            "when is orders updated",
        ],
        Intent::Query => &[
            "how many orders are there",
            "count the orders",
            "top 5 orders by amount",
            "show me the latest orders",
            "show me some records of orders",
            "which orders have the highest price",
            "number of orders where status is open",
            "list ten orders",
            "orders with quantity over 100",
            "give me sample rows of orders",
            "what are the largest orders",
        ],
        Intent::Chat => &[
            "hello",
            "hi, how are you",
            "good morning",
            "thanks a lot",
            "who are you",
            "what can you do",
            "tell me a joke",
            "what is the weather like today",
            "write a poem about the sea",
            "what is the capital of France",
            "bye",
            "that was helpful",
            "how old are you",
            "I am tired",
            "what do you think about music",
        ],
    }
}
