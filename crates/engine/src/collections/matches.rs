//! Filters, held against a record that is in memory.
//!
//! What fits here fits in the store and the other way round: comparison follows JSON types, whole and other numbers
//! compare by value, text by bytes. A property test holds the two against each other.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use serde_json::{Number, Value};

use crate::error::{Detail, Error, Result};
use crate::id::RecordId;
use crate::query::{Body, Cost, Filter, MAX_COMPARISONS, MAX_DEPTH, Operator, deeper};
use crate::store::path;

/// A filter that was understood once, to be held against many records.
#[derive(Debug)]
pub struct Matcher(Test);

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Field(Field, Check),
}

/// Where the value is.
#[derive(Debug)]
enum Field {
    Id,
    Path(Vec<Box<str>>),
}

/// What is asked of it. Nothing but [`Check::Null`] and `Exists(false)` holds for what is missing.
#[derive(Debug)]
enum Check {
    Null,
    Ordered(Order, Operand),
    /// An array or object that is written like this.
    Written(Box<str>),
    OneOf(OneOf),
    Text(TextCheck, Box<str>),
    Element(Operand),
    NullElement,
    /// The text contains the first, or the array has the second.
    Either(Box<Check>, Box<Check>),
    Exists(bool),
    Never,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy)]
enum TextCheck {
    Contains,
    ContainsFolded,
    StartsWith,
    EndsWith,
}

#[derive(Debug)]
enum Operand {
    Number(Numeric),
    Text(Box<str>),
    Bool(bool),
}

/// A number as the store has it.
#[derive(Debug, Clone, Copy)]
enum Numeric {
    Whole(i64),
    Real(f64),
}

/// A list of values: the numbers and the texts in order, and the checks that the others became.
#[derive(Debug)]
struct OneOf {
    numbers: Vec<Numeric>,
    texts: Vec<Box<str>>,
    others: Vec<Check>,
}

/// A value as it is found in a record.
#[derive(Clone, Copy)]
enum Found<'a> {
    Missing,
    Text(&'a str),
    Other(&'a Value),
}

impl Matcher {
    /// Understands a filter. Fails as the store does where the filter says what cannot be asked, or is too large.
    pub fn new(filter: &Filter) -> Result<Self> {
        test(filter, MAX_DEPTH, &mut Cost::default()).map(Self)
    }

    /// Whether a record fits.
    pub fn fits(&self, id: &RecordId, body: &Body) -> bool {
        self.0.holds(id, body)
    }
}

fn test(filter: &Filter, depth: usize, cost: &mut Cost) -> Result<Test> {
    let depth = deeper(depth)?;
    cost.spend(filter)?;
    let mut each = |list: &[Filter]| -> Result<Vec<Test>> {
        list.iter().map(|filter| test(filter, depth, cost)).collect()
    };
    match filter {
        Filter::And(list) => each(list).map(Test::All),
        Filter::Or(list) => each(list).map(Test::Any),
        Filter::Not(inner) => Ok(Test::Not(Box::new(test(inner, depth, cost)?))),
        Filter::Compare { field, operator, value } => compare(field, *operator, value),
    }
}

fn compare(name: &str, operator: Operator, value: &Value) -> Result<Test> {
    let field = Field::parse(name)?;
    let check = match operator {
        Operator::Eq | Operator::Ne => equal(value),
        Operator::Gt => ordered(name, Order::Greater, value)?,
        Operator::Gte => ordered(name, Order::GreaterOrEqual, value)?,
        Operator::Lt => ordered(name, Order::Less, value)?,
        Operator::Lte => ordered(name, Order::LessOrEqual, value)?,
        Operator::In | Operator::NotIn => one_of(name, value)?,
        Operator::Contains => contains(name, &field, TextCheck::Contains, value)?,
        Operator::ContainsFolded => contains(name, &field, TextCheck::ContainsFolded, value)?,
        Operator::StartsWith => edge(name, TextCheck::StartsWith, value)?,
        Operator::EndsWith => edge(name, TextCheck::EndsWith, value)?,
        Operator::Exists => exists(name, value)?,
    };
    let test = Test::Field(field, check);
    Ok(match operator {
        Operator::Ne | Operator::NotIn => Test::Not(Box::new(test)),
        _ => test,
    })
}

fn equal(value: &Value) -> Check {
    match value {
        Value::Null => Check::Null,
        Value::Bool(flag) => Check::Ordered(Order::Equal, Operand::Bool(*flag)),
        Value::Number(number) => Check::Ordered(Order::Equal, Operand::Number(number.into())),
        Value::String(text) => Check::Ordered(Order::Equal, Operand::Text(text.as_str().into())),
        Value::Array(_) | Value::Object(_) => Check::Written(value.to_string().into()),
    }
}

fn ordered(name: &str, order: Order, value: &Value) -> Result<Check> {
    let what = "is compared with a number, a text or a boolean; null, arrays and objects have no order";
    Operand::new(value).map(|operand| Check::Ordered(order, operand)).ok_or_else(|| wrong(name, what))
}

fn one_of(name: &str, value: &Value) -> Result<Check> {
    let Value::Array(values) = value else {
        return Err(wrong(name, "needs an array of values for in and not_in"));
    };
    let mut list = OneOf { numbers: Vec::new(), texts: Vec::new(), others: Vec::new() };
    for value in values {
        match value {
            Value::Number(number) => list.numbers.push(number.into()),
            Value::String(text) => list.texts.push(text.as_str().into()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                if values.len() > MAX_COMPARISONS {
                    return Err(wrong(name, "has too many values that are neither numbers nor texts"));
                }
                list.others.push(equal(value));
            }
        }
    }
    list.numbers.sort_unstable_by(|a, b| a.compare(*b));
    list.texts.sort_unstable();
    Ok(Check::OneOf(list))
}

/// The record's key is a text and never an array.
fn contains(name: &str, field: &Field, how: TextCheck, value: &Value) -> Result<Check> {
    let inside = match value {
        Value::String(text) => Check::Text(how, folded(how, text).into()),
        _ => Check::Never,
    };
    if let Field::Id = field {
        return Ok(inside);
    }
    let element = match (value, Operand::new(value)) {
        (_, Some(operand)) => Check::Element(operand),
        (Value::Null, None) => Check::NullElement,
        _ => return Err(wrong(name, "can be asked to contain a text, a number, a boolean or null")),
    };
    Ok(Check::Either(Box::new(inside), Box::new(element)))
}

fn edge(name: &str, how: TextCheck, value: &Value) -> Result<Check> {
    match value {
        Value::String(text) => Ok(Check::Text(how, text.as_str().into())),
        _ => Err(wrong(name, "needs a text for starts_with and ends_with")),
    }
}

fn exists(name: &str, value: &Value) -> Result<Check> {
    match value {
        Value::Bool(flag) => Ok(Check::Exists(*flag)),
        _ => Err(wrong(name, "needs true or false for exists")),
    }
}

fn wrong(name: &str, what: &str) -> Error {
    Error::invalid(format!("the field {name:?} {what}")).with(Detail::Field(name.to_owned()))
}

/// A text as it is compared: without regard to ASCII case, which SQLite's `lower` does up to the first NUL.
fn folded(how: TextCheck, text: &str) -> String {
    match how {
        TextCheck::ContainsFolded => text.split('\0').next().unwrap_or_default().to_ascii_lowercase(),
        TextCheck::Contains | TextCheck::StartsWith | TextCheck::EndsWith => text.to_owned(),
    }
}

impl Field {
    fn parse(name: &str) -> Result<Self> {
        path::check(name)?;
        Ok(match name {
            "id" | "_id" => Self::Id,
            _ => Self::Path(name.split('.').map(Box::from).collect()),
        })
    }

    fn find<'a>(&self, id: &'a RecordId, body: &'a Body) -> Found<'a> {
        let Self::Path(path) = self else { return Found::Text(&id.0) };
        let Some((first, rest)) = path.split_first() else { return Found::Missing };
        let inner = rest.iter().try_fold(body.get(&**first), |value, step| match value {
            Some(Value::Object(members)) => Some(members.get(&**step)),
            _ => None,
        });
        match inner.flatten() {
            None => Found::Missing,
            Some(Value::String(text)) => Found::Text(text),
            Some(value) => Found::Other(value),
        }
    }
}

impl Test {
    fn holds(&self, id: &RecordId, body: &Body) -> bool {
        match self {
            Self::All(list) => list.iter().all(|test| test.holds(id, body)),
            Self::Any(list) => list.iter().any(|test| test.holds(id, body)),
            Self::Not(inner) => !inner.holds(id, body),
            Self::Field(field, check) => check.holds(field.find(id, body)),
        }
    }
}

impl Check {
    fn holds(&self, found: Found<'_>) -> bool {
        match self {
            Self::Null => matches!(found, Found::Missing | Found::Other(Value::Null)),
            Self::Ordered(order, operand) => {
                operand.compare(found).is_some_and(|ordering| order.holds(ordering))
            }
            Self::Written(text) => match found {
                Found::Other(value @ (Value::Array(_) | Value::Object(_))) => is_written(value, text),
                _ => false,
            },
            Self::OneOf(list) => list.has(found),
            Self::Text(how, text) => matches!(found, Found::Text(found) if how.holds(found, text)),
            Self::Element(operand) => elements(found)
                .iter()
                .any(|element| operand.compare(Found::from(element)) == Some(Ordering::Equal)),
            Self::NullElement => elements(found).iter().any(Value::is_null),
            Self::Either(one, other) => one.holds(found) || other.holds(found),
            Self::Exists(wanted) => *wanted != matches!(found, Found::Missing),
            Self::Never => false,
        }
    }
}

/// Whether the value's JSON is this text; it is compared as it is written.
fn is_written(value: &Value, text: &str) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    write!(rest, "{value}").is_ok() && rest.0.is_empty()
}

fn elements(found: Found<'_>) -> &[Value] {
    match found {
        Found::Other(Value::Array(list)) => list,
        _ => &[],
    }
}

impl<'a> From<&'a Value> for Found<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            value => Self::Other(value),
        }
    }
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl TextCheck {
    fn holds(self, found: &str, text: &str) -> bool {
        match self {
            Self::Contains => found.contains(text),
            Self::ContainsFolded => folded(self, found).contains(text),
            Self::StartsWith => found.starts_with(text),
            Self::EndsWith => found.ends_with(text),
        }
    }
}

impl Operand {
    /// `None` for what has no order.
    fn new(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::Number(number.into())),
            Value::String(text) => Some(Self::Text(text.as_str().into())),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// How what was found stands to this; `None` if it is of another type.
    fn compare(&self, found: Found<'_>) -> Option<Ordering> {
        match (self, found) {
            (Self::Number(number), Found::Other(Value::Number(found))) => {
                Some(Numeric::from(found).compare(*number))
            }
            (Self::Text(text), Found::Text(found)) => Some(found.cmp(text)),
            (Self::Bool(flag), Found::Other(Value::Bool(found))) => Some(found.cmp(flag)),
            _ => None,
        }
    }
}

impl OneOf {
    fn has(&self, found: Found<'_>) -> bool {
        let listed = match found {
            Found::Text(text) => self.texts.binary_search_by(|known| (**known).cmp(text)).is_ok(),
            Found::Other(Value::Number(number)) => {
                let number = Numeric::from(number);
                self.numbers.binary_search_by(|known| known.compare(number)).is_ok()
            }
            Found::Missing | Found::Other(_) => false,
        };
        listed || self.others.iter().any(|check| check.holds(found))
    }
}

impl From<&Number> for Numeric {
    fn from(number: &Number) -> Self {
        match number.as_i64() {
            Some(whole) => Self::Whole(whole),
            None => Self::Real(number.as_f64().unwrap_or(f64::MAX)), // beyond i64; the store reads them as floats too
        }
    }
}

impl Numeric {
    /// By value: no whole number is rounded to compare it with a real one.
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal), // JSON has no NaN
            (Self::Whole(a), Self::Real(b)) => whole_with_real(a, b),
            (Self::Real(a), Self::Whole(b)) => whole_with_real(b, a).reverse(),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "both are what is meant")]
fn whole_with_real(whole: i64, real: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0; // 2^63, exact
    if real >= BEYOND {
        return Ordering::Less;
    }
    if real < -BEYOND {
        return Ordering::Greater;
    }
    let fraction = real.fract();
    let by_fraction = 0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal);
    whole.cmp(&(real.trunc() as i64)).then(by_fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::id::Timestamp;
    use crate::query::Query;
    use crate::store::sqlite::Sqlite;
    use crate::store::{Operation, Store, Write};

    /// Values that meet each other: few of each type, so that filters find something.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..4).prop_map(Value::from),
            prop::sample::select(vec![
                json!(i64::MAX),
                json!(i64::MIN),
                json!(u64::MAX),
                json!(9_007_199_254_740_993_i64),
                json!(9_007_199_254_740_992.0),
                json!(9.3e18),
                json!(-0.0)
            ]),
            (-6i32..7).prop_map(|halves| json!(f64::from(halves) / 2.0)),
            prop::sample::select(vec![
                "",
                "a",
                "A",
                "ab",
                "Über 10 %",
                "über",
                "b.c",
                "a\0b",
                "A\0",
                "1",
                "🦀",
                "\"",
                "\\"
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(vec!["a", "b", "", "c d"]), inner), 0..3)
                    .prop_map(|list| list.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()),
            ]
        })
    }

    fn body() -> impl Strategy<Value = Body> {
        prop::collection::vec((prop::sample::select(vec!["a", "b", "c d", "e\"f", ""]), value()), 0..4)
            .prop_map(|list| list.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    fn comparison() -> impl Strategy<Value = Filter> {
        use Operator::*;
        let fields = vec!["a", "b", "c d", "e\"f", "id", "_id", "a.b", "a.a", "b.c d", "a.", "a.b.a", "none"];
        let operators =
            vec![Eq, Ne, Gt, Gte, Lt, Lte, In, NotIn, Contains, ContainsFolded, StartsWith, EndsWith, Exists];
        let list = prop::collection::vec(value(), 0..4).prop_map(Value::from);
        let operand = prop_oneof![3 => value(), 1 => list, 1 => any::<bool>().prop_map(Value::from)];
        (prop::sample::select(fields), prop::sample::select(operators), operand)
            .prop_map(|(field, operator, value)| Filter::compare(field, operator, value))
    }

    fn filter() -> impl Strategy<Value = Filter> {
        comparison().prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
                inner.prop_map(|inner| Filter::Not(Box::new(inner))),
            ]
        })
    }

    async fn found(store: &Sqlite, filter: &Filter) -> Option<Vec<String>> {
        let query = Query::all("c", usize::MAX).filter(filter.clone());
        let found = store.query(&query).await.ok()?;
        Some(found.into_iter().map(|record| record.id.0).collect())
    }

    async fn agree(bodies: Vec<Body>, filters: Vec<Filter>) {
        let store = Sqlite::in_memory().unwrap();
        let write = |(number, body): (usize, &Body)| {
            let id = RecordId(format!("{number:02}"));
            Write::new("c", id, Operation::Insert(body.clone()))
        };
        let writes = bodies.iter().enumerate().map(write).collect();
        store.commit(&"ann".into(), Timestamp(0), writes).await.unwrap();
        for filter in &filters {
            let ours = Matcher::new(filter).ok().map(|matcher| {
                let ids = (0..bodies.len()).map(|number| RecordId(format!("{number:02}")));
                let fitting = ids.zip(&bodies).filter(|(id, body)| matcher.fits(id, body));
                fitting.map(|(id, _)| id.0).collect::<Vec<_>>()
            });
            assert_eq!(ours, found(&store, filter).await, "{filter:?} over {bodies:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_fits_in_memory_fits_in_the_store(
            bodies in prop::collection::vec(body(), 1..12),
            filters in prop::collection::vec(filter(), 1..24),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(agree(bodies, filters));
        }
    }

    #[tokio::test]
    async fn what_the_store_refuses_is_refused() {
        let is = |operator, value: Value| Filter::compare("v", operator, value);
        let mut deep = is(Operator::Eq, json!(1));
        let mut filters = Vec::new();
        for depth in 0..40 {
            deep = Filter::Not(Box::new(deep));
            if depth > 28 {
                filters.push(deep.clone());
            }
        }
        for count in [254, 255, 256, 257] {
            filters.push(Filter::And(vec![is(Operator::Eq, json!(1)); count]));
            filters.push(is(Operator::In, vec![Value::Null; count].into()));
        }
        filters.push(is(Operator::In, vec![json!(1); 10_000].into()));
        filters.push(is(Operator::In, vec![json!(1); 10_001].into()));
        filters.push(Filter::eq("", 1));
        filters.push(Filter::eq("x".repeat(512), 1));
        filters.push(Filter::eq("x".repeat(513), 1));
        agree(vec![Body::new()], filters).await;
    }
}
