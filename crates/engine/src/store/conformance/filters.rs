//! Filters, sorts, limits.

use serde_json::{Value, json};

use super::{code, insert};
use crate::error::Code;
use crate::query::{Filter, Join, Operator, Projection, Query, Sort};
use crate::store::Store;

async fn fitting(store: &impl Store, filter: Filter) -> String {
    let query = Query::all("c", 100).filter(filter.clone());
    let found = store.query(&query).await.unwrap_or_else(|error| panic!("{filter:?}: {error:?}"));
    assert_eq!(store.count("c", Some(&filter)).await.unwrap(), found.len() as u64);
    found.into_iter().map(|record| record.id.0).collect::<Vec<_>>().join(" ")
}

fn is(operator: Operator, value: impl Into<Value>) -> Filter {
    Filter::compare("v", operator, value)
}

pub(super) async fn filters_follow_json_types(store: &impl Store) {
    let values = [
        ("a", json!({"v": 1})),
        ("b", json!({"v": 2.5})),
        ("c", json!({"v": "1"})),
        ("d", json!({"v": "Über 10 % Rabatt_"})),
        ("e", json!({"v": true})),
        ("f", json!({"v": false})),
        ("g", json!({"v": null})),
        ("h", json!({})),
        ("i", json!({"v": ["x", 1, null]})),
        ("j", json!({"v": {"w": "deep"}})),
        ("k", json!({"v": ""})),
    ];
    for (id, value) in values {
        insert(store, "c", id, value).await;
    }
    let check = async |filter: Filter, expected: &str| {
        assert_eq!(fitting(store, filter.clone()).await, expected, "{filter:?}");
        let rest: Vec<_> =
            "abcdefghijk".chars().filter(|id| !expected.contains(*id)).map(String::from).collect();
        assert_eq!(
            fitting(store, Filter::Not(Box::new(filter.clone()))).await,
            rest.join(" "),
            "not {filter:?}"
        );
    };
    check(is(Operator::Eq, 1), "a").await;
    check(is(Operator::Eq, 1.0), "a").await;
    check(is(Operator::Eq, "1"), "c").await;
    check(is(Operator::Eq, true), "e").await;
    check(is(Operator::Eq, Value::Null), "g h").await;
    check(is(Operator::Eq, json!(["x", 1, null])), "i").await;
    check(is(Operator::Eq, json!({"w": "deep"})), "j").await;
    check(is(Operator::Ne, 1), "b c d e f g h i j k").await;
    check(is(Operator::Ne, Value::Null), "a b c d e f i j k").await;
    check(is(Operator::Gt, 1), "b").await;
    check(is(Operator::Gte, 1), "a b").await;
    check(is(Operator::Lt, 2.5), "a").await;
    check(is(Operator::Lte, "1"), "c k").await;
    check(is(Operator::Lt, true), "f").await;
    check(is(Operator::In, json!([1, "1", true, null])), "a c e g h").await;
    check(is(Operator::In, json!([])), "").await;
    check(is(Operator::NotIn, json!([1, 2.5, "1"])), "d e f g h i j k").await;
    check(is(Operator::ContainsFolded, "10 % rabatt_"), "d").await;
    check(is(Operator::ContainsFolded, "x"), "i").await;
    check(is(Operator::ContainsFolded, 1), "i").await;
    check(is(Operator::ContainsFolded, Value::Null), "i").await;
    check(is(Operator::StartsWith, "Üb"), "d").await;
    check(is(Operator::StartsWith, "üb"), "").await;
    check(is(Operator::StartsWith, ""), "c d k").await;
    check(is(Operator::EndsWith, "t_"), "d").await;
    check(is(Operator::EndsWith, ""), "c d k").await;
    check(is(Operator::Exists, true), "a b c d e f g i j k").await;
    check(is(Operator::Exists, false), "h").await;
    check(Filter::eq("v.w", "deep"), "j").await;
    check(Filter::eq("id", "c"), "c").await;
    check(Filter::compare("id", Operator::Gte, "j"), "j k").await;
    check(Filter::compare("id", Operator::ContainsFolded, "A"), "a").await;
    check(Filter::And(vec![]), "a b c d e f g h i j k").await;
    check(Filter::Or(vec![]), "").await;
    check(Filter::And(vec![is(Operator::Gt, 1), is(Operator::Lt, 3)]), "b").await;
    check(Filter::Or(vec![is(Operator::Gt, 1), is(Operator::Eq, "1")]), "b c").await;
}

pub(super) async fn sorts_limits_and_skips(store: &impl Store) {
    let values = [
        ("a", json!({"v": "b", "g": 1})),
        ("b", json!({"v": 10, "g": 1})),
        ("c", json!({"v": true, "g": 2})),
        ("d", json!({"g": 2})),
        ("e", json!({"v": 9.5, "g": 1})),
        ("f", json!({"v": "B", "g": 2})),
    ];
    for (id, value) in values {
        insert(store, "c", id, value).await;
    }
    let sort = |field: &str, descending| Sort { field: field.into(), descending };
    let check = async |sort: Vec<Sort>, skip, limit, expected: &str| {
        let query = Query { sort, skip, ..Query::all("c", limit) };
        let found = store.query(&query).await.unwrap();
        let ids: Vec<_> = found.into_iter().map(|record| record.id.0).collect();
        assert_eq!(ids.join(" "), expected, "{query:?}");
    };
    check(vec![], 0, 100, "a b c d e f").await;
    check(vec![sort("v", false)], 0, 100, "d c e b f a").await;
    check(vec![sort("v", true)], 0, 100, "a f b e c d").await;
    check(vec![sort("g", true), sort("v", false)], 0, 100, "d c f e b a").await;
    check(vec![sort("id", true)], 1, 2, "e d").await;
    check(vec![sort("nothing", true)], 0, usize::MAX, "a b c d e f").await;
    check(vec![], usize::MAX, usize::MAX, "").await;
    check(vec![], 0, 0, "").await;
}

/// Names and values that would be something else in SQL, in a JSON path, or in a pattern.
const ODD: &[&str] = &[
    "it's",
    "a\"b",
    "a\\b",
    "$",
    "$v",
    "[0]",
    "a[0]",
    "a b",
    "ä🦀",
    "?",
    "?1",
    ":x",
    "@y",
    "--",
    "/*",
    ";",
    "%",
    "_",
    "' OR 1=1 --",
    "\u{0}",
    "a\u{0}b",
    "\n",
    "#-1",
    "*",
    "body",
    "collection",
    "null",
    "v\u{7f}",
    "{",
    "}",
    "\\u0041",
];

pub(super) async fn names_are_never_syntax(store: &impl Store) {
    for (number, name) in ODD.iter().enumerate() {
        insert(store, "c", &format!("{number:02}"), json!({*name: *name, "in": {*name: {"side": number}}}))
            .await;
    }
    for (number, name) in ODD.iter().enumerate() {
        let expected = format!("{number:02}");
        let check = async |filter: Filter| {
            assert_eq!(fitting(store, filter.clone()).await, expected, "{filter:?}");
        };
        check(Filter::compare(*name, Operator::Exists, true)).await;
        check(Filter::eq(format!("in.{name}.side"), number)).await;
        check(Filter::compare(*name, Operator::StartsWith, *name)).await;
        check(Filter::compare(*name, Operator::ContainsFolded, *name)).await;
        check(Filter::compare(*name, Operator::In, json!([name]))).await;
        check(Filter::compare(*name, Operator::Eq, *name)).await;
        let sorted = Query { limit: 1, ..Query::all("c", 1).sort(*name) };
        assert_eq!(store.query(&sorted).await.unwrap().len(), 1);
    }
}

pub(super) async fn unusable_filters_are_refused(store: &impl Store) {
    let mut deep = is(Operator::Eq, 1);
    for _ in 0..100 {
        deep = Filter::Not(Box::new(deep));
    }
    let refused = [
        is(Operator::Gt, Value::Null),
        is(Operator::Lt, json!([1])),
        is(Operator::In, 1),
        is(Operator::NotIn, json!({"a": 1})),
        is(Operator::StartsWith, 1),
        is(Operator::Exists, "yes"),
        is(Operator::ContainsFolded, json!({})),
        Filter::eq("", 1),
        Filter::eq("x".repeat(10_000), 1),
        Filter::And(vec![is(Operator::Eq, 1); 5_000]),
        is(Operator::In, vec![1; 100_000]),
        deep,
    ];
    for filter in refused {
        let query = Query::all("c", 1).filter(filter.clone());
        assert_eq!(code(store.query(&query).await), Some(Code::Invalid), "{filter:?}");
        assert_eq!(code(store.count("c", Some(&filter)).await), Some(Code::Invalid), "{filter:?}");
    }
    let many_sorts =
        Query { sort: vec![Sort { field: "a".into(), descending: false }; 50], ..Query::all("c", 1) };
    assert_eq!(code(store.query(&many_sorts).await), Some(Code::Invalid));
    let wide = Filter::Or((0..200).map(|number| is(Operator::Eq, number)).collect());
    assert_eq!(store.count("c", Some(&wide)).await.unwrap(), 0);
    assert_eq!(store.count("c", Some(&is(Operator::In, vec!["x"; 9_000]))).await.unwrap(), 0);
}

pub(super) async fn answers_are_projected_and_joined(store: &impl Store) {
    for (id, value) in [
        ("o1", json!({"buyer": "b1", "lines": ["t1", "t2", "t1"], "n": {"x": 1, "y": 2}})),
        ("o2", json!({"buyer": "b9", "n": {"x": 3}})),
        ("o3", json!({"buyer": null})),
    ] {
        insert(store, "c", id, value).await;
    }
    insert(store, "buyers", "b1", json!({"name": "Ann", "code": 1.0})).await;
    for (id, value) in [("t1", json!({"name": "tea"})), ("t2", json!({"name": "cup"}))] {
        insert(store, "things", id, value).await;
    }
    let ask = async |projection, join| {
        let query = Query { projection, join, ..Query::all("c", usize::MAX) };
        let found = store.query(&query).await.unwrap();
        found.into_iter().map(|record| Value::Object(record.body)).collect::<Vec<_>>()
    };
    let only = |names: &[&str]| Projection::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let found = ask(only(&["id", "n.x"]), None).await;
    assert_eq!(found, [json!({"n": {"x": 1}}), json!({"n": {"x": 3}}), json!({})]);
    let join = |collections: &[&str], local: &str, foreign: &str| {
        Some(Join {
            collections: collections.iter().map(|name| (*name).to_owned()).collect(),
            local_field: local.into(),
            foreign_field: foreign.into(),
            as_field: "found".into(),
        })
    };
    let found = ask(only(&[]), join(&["buyers", "things"], "buyer", "id")).await;
    let ann = json!({"id": "b1", "name": "Ann", "code": 1.0});
    assert_eq!(found, [json!({"found": [ann]}), json!({"found": []}), json!({"found": []})]);
    let found = ask(only(&[]), join(&["things"], "lines", "_id")).await;
    let (tea, cup) = (json!({"id": "t1", "name": "tea"}), json!({"id": "t2", "name": "cup"}));
    assert_eq!(found[0], json!({"found": [tea, cup]}), "an array joins by each of its values");
    let found = ask(only(&["buyer"]), join(&["buyers"], "n.x", "code")).await;
    assert_eq!(found[0], json!({"buyer": "b1", "found": [ann]}), "1 is 1.0");
    let query = Query { join: join(&["nothing"], "id", "buyer"), ..Query::all("buyers", 10) };
    assert_eq!(store.query(&query).await.unwrap()[0].body["found"], json!([]));
    for bad in [join(&[], "a", "b"), join(&["c"], "", "b"), join(&["c"], "a", "")] {
        let query = Query { join: bad, ..Query::all("c", 10) };
        assert_eq!(code(store.query(&query).await), Some(Code::Invalid));
    }
}

pub(super) async fn distinct_values_are_sorted(store: &impl Store) {
    let values = [
        json!("b"),
        json!(10),
        json!("a"),
        json!(2),
        json!(2.0),
        json!(true),
        json!(null),
        json!([1]),
        json!("Z"),
    ];
    for (number, value) in values.iter().enumerate() {
        insert(store, "c", &number.to_string(), json!({"v": {"w": value}})).await;
    }
    insert(store, "c", "x", json!({})).await;
    let distinct = async |field: &str, filter: Option<Filter>| {
        store.distinct("c", field, filter.as_ref()).await.unwrap()
    };
    let expected = [json!(true), json!(2), json!(10), json!("Z"), json!("a"), json!("b"), json!([1])];
    assert_eq!(distinct("v.w", None).await, expected);
    let texts = Filter::compare("v.w", Operator::Gte, "a");
    assert_eq!(distinct("v.w", Some(texts)).await, [json!("a"), json!("b")]);
    assert_eq!(distinct("_id", Some(Filter::eq("id", "x"))).await, [json!("x")]);
    assert!(store.distinct("nothing", "v", None).await.unwrap().is_empty());
}

pub(super) async fn deep_filters_are_refused(store: &impl Store) {
    let deep = |levels: usize| {
        (0..levels).fold(Filter::eq("a", 1), |inner, level| match level % 3 {
            0 => Filter::Not(Box::new(inner)),
            1 => Filter::And(vec![inner]),
            _ => Filter::Or(vec![Filter::eq("b", 2), inner]),
        })
    };
    assert_eq!(store.count("c", Some(&deep(31))).await.unwrap(), 0);
    for levels in [32, 10_000] {
        let filter = deep(levels);
        assert_eq!(code(store.count("c", Some(&filter)).await), Some(Code::Invalid));
        assert_eq!(code(store.distinct("c", "a", Some(&filter)).await), Some(Code::Invalid));
        assert_eq!(code(store.query(&Query::all("c", 1).filter(filter)).await), Some(Code::Invalid));
    }
}

pub(super) async fn an_answer_has_a_limit(store: &impl Store) {
    let text = "x".repeat(1_000_000);
    for number in 0..64 {
        insert(store, "c", &number.to_string(), json!({"text": text, "n": number})).await;
    }
    let error = store.query(&Query::all("c", usize::MAX)).await.unwrap_err();
    assert_eq!(error.code, Code::TooLarge);
    assert!(error.message.contains("limit and skip"), "{}", error.message);
    assert_eq!(store.query_texts(&Query::all("c", usize::MAX)).await.unwrap_err().code, Code::TooLarge);
    assert_eq!(store.query(&Query::all("c", 50)).await.unwrap().len(), 50);
    let projection = Projection::Only(vec!["n".into()]);
    let query = Query { projection, ..Query::all("c", usize::MAX) };
    assert_eq!(store.query(&query).await.unwrap().len(), 64, "what is not given does not count");
}
