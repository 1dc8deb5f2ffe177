//! Which tables belong into the diagram of an answer.
//!
//! A run looks at some tables (the focus) and the question names some. Where the named ones hang together, they are
//! the picture, with what lies between them; else it is the focus with its neighbours.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::catalog::{Catalog, Relationship, RelationshipType, Table, by_full_name};
use super::er::{self, Entity, MAX_ENTITIES};
use super::words;
use crate::error::Result;

/// Draws the diagram for tables (by full name) that a run looked at; `None` if nothing hangs on them.
pub(super) async fn draw(catalog: &Catalog<'_>, focus: &[String], question: &str) -> Result<Option<String>> {
    let tables = catalog.tables().await?;
    let named: Vec<_> =
        words::mentioned(&tables, question).iter().map(|table| table.full_name.clone()).collect();
    let mut edges = Vec::new();
    for table in focus.iter().chain(&named).collect::<BTreeSet<_>>() {
        edges.extend(
            catalog
                .relationships(table)
                .await?
                .into_iter()
                .filter(|edge| !edges.contains(edge))
                .collect::<Vec<_>>(),
        );
    }
    let chosen = between(&edges, focus, &named).unwrap_or_else(|| neighbours(&edges, focus, &named));
    if chosen.len() < 2 {
        return Ok(None);
    }
    let known = by_full_name(&tables);
    let chosen: Vec<&Table> = chosen.iter().filter_map(|name| known.get(name.as_str()).copied()).collect();
    let drawn = chosen.iter().take(MAX_ENTITIES).map(|table| entity(catalog, table));
    let drawn = try_join_all(drawn).await?;
    Ok(Some(er::diagram(&drawn, &edges, chosen.len() - drawn.len())))
}

async fn entity(catalog: &Catalog<'_>, table: &Table) -> Result<Entity> {
    Ok(Entity { table: table.clone(), columns: catalog.columns(&table.full_name).await? })
}

/// The named tables and what joins them: each other directly, or one table that leads to several of them. `None`
/// unless that leaves none of them alone.
fn between(edges: &[Relationship], focus: &[String], named: &[String]) -> Option<Vec<String>> {
    let mut chosen: Vec<String> = named.to_vec();
    let meets = |a: &str, b: &str| edges.iter().any(|edge| connects(edge, a, b));
    let direct = named.iter().all(|table| named.iter().any(|other| other != table && meets(table, other)));
    if named.len() < 2 || !focus.iter().any(|table| named.contains(table)) {
        return None;
    }
    if !direct {
        let common = |table: &&str| named.iter().filter(|other| meets(table, other)).count() > 1;
        chosen.extend(ends(edges).filter(common).map(str::to_owned).collect::<BTreeSet<_>>());
    }
    let alone = |table: &String| !chosen.iter().any(|other| other != table && meets(table, other));
    (!chosen.iter().any(alone)).then(|| unique(chosen))
}

/// The focus, then the named tables next to it, then its other neighbours, surest first.
fn neighbours(edges: &[Relationship], focus: &[String], named: &[String]) -> Vec<String> {
    let touches = |edge: &&Relationship| focus.contains(&edge.from_table) || focus.contains(&edge.to_table);
    let mut near: Vec<_> = edges.iter().filter(touches).collect();
    let is_named = |edge: &Relationship| named.contains(&edge.from_table) || named.contains(&edge.to_table);
    let is_hierarchy = |edge: &Relationship| edge.relationship_type == RelationshipType::Hierarchy;
    near.sort_by(|a, b| {
        let by_kind = (is_hierarchy(a), !is_named(a)).cmp(&(is_hierarchy(b), !is_named(b)));
        by_kind.then(b.confidence.total_cmp(&a.confidence))
    });
    let ends = near.iter().flat_map(|edge| [edge.from_table.clone(), edge.to_table.clone()]);
    unique(focus.iter().cloned().chain(ends).collect())
}

fn connects(edge: &Relationship, a: &str, b: &str) -> bool {
    (edge.from_table == a && edge.to_table == b) || (edge.from_table == b && edge.to_table == a)
}

fn ends(edges: &[Relationship]) -> impl Iterator<Item = &str> {
    edges.iter().flat_map(|edge| [edge.from_table.as_str(), edge.to_table.as_str()])
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str) -> Relationship {
        Relationship {
            from_table: from.into(),
            to_table: to.into(),
            join_column: format!("{to}_key"),
            relationship_type: RelationshipType::ForeignKey,
            confidence: 1.0,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn named_tables_that_hang_together_are_the_picture() {
        let edges = [edge("order", "supplier"), edge("order", "plant"), edge("invoice", "supplier")];
        let chosen = between(&edges, &names(&["order"]), &names(&["order", "supplier"]));
        assert_eq!(chosen.unwrap(), ["order", "supplier"]);
        let chosen = between(&edges, &names(&["supplier"]), &names(&["supplier", "plant"]));
        assert_eq!(chosen.unwrap(), ["supplier", "plant", "order"]);
        assert_eq!(between(&edges, &names(&["order"]), &names(&["order", "island"])), None);
        assert_eq!(between(&edges, &names(&["order"]), &names(&["order"])), None);
    }

    #[test]
    fn else_the_neighbours_are() {
        let edges = [edge("order", "supplier"), edge("order", "plant"), edge("invoice", "supplier")];
        let chosen = neighbours(&edges, &names(&["order"]), &names(&["plant"]));
        assert_eq!(chosen, ["order", "plant", "supplier"]);
        assert_eq!(neighbours(&edges, &names(&["island"]), &[]), ["island"]);
    }
}
