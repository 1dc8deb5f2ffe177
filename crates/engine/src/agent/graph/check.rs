//! What a graph must be to be walked.

use std::collections::BTreeSet;

use super::{Condition, END, Graph};
use crate::error::{Error, Result};

impl Graph {
    /// Fails unless every walk through it comes to an end or to a node that can be left: nodes have different names,
    /// edges lead from and to nodes that there are, every node can be reached and can reach the end, and the last edge
    /// of each is its only one without a condition.
    ///
    /// # Errors
    /// `Invalid` with the first thing that is wrong.
    pub fn check(&self) -> Result<()> {
        self.check_names()?;
        self.edges.iter().try_for_each(|edge| self.check_ends(&edge.from, &edge.to))?;
        self.nodes.iter().try_for_each(|node| self.check_ways_out(&node.name))?;
        let reached = self.closure(&self.entry, |edge| (&edge.from, &edge.to));
        let ending = self.closure(END, |edge| (&edge.to, &edge.from));
        for node in &self.nodes {
            if !reached.contains(node.name.as_str()) {
                return Err(self.wrong(format!("no way leads to the node {:?}", node.name)));
            }
            if !ending.contains(node.name.as_str()) {
                return Err(self.wrong(format!("no way leads from the node {:?} to the end", node.name)));
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for node in &self.nodes {
            if node.name.is_empty() || node.name == END {
                return Err(self.wrong(format!("a node cannot be named {:?}", node.name)));
            }
            if !seen.insert(&node.name) {
                return Err(self.wrong(format!("two nodes are named {:?}", node.name)));
            }
        }
        if self.node(&self.entry).is_none() {
            return Err(self.wrong(format!("it begins with {:?}, which is no node", self.entry)));
        }
        Ok(())
    }

    fn check_ends(&self, from: &str, to: &str) -> Result<()> {
        if self.node(from).is_none() {
            return Err(self.wrong(format!("an edge leads from {from:?}, which is no node")));
        }
        if to != END && self.node(to).is_none() {
            return Err(self.wrong(format!("an edge leads from {from:?} to {to:?}, which is no node")));
        }
        Ok(())
    }

    fn check_ways_out(&self, node: &str) -> Result<()> {
        let ways: Vec<_> = self.edges.iter().filter(|edge| edge.from == node).collect();
        let free = ways.iter().filter(|edge| edge.when == Condition::Always).count();
        match ways.last() {
            None => Err(self.wrong(format!("no edge leads from the node {node:?}"))),
            Some(_) if free > 1 => {
                Err(self.wrong(format!("two edges lead from the node {node:?} without a condition")))
            }
            Some(last) if last.when != Condition::Always => Err(self.wrong(format!(
                "the last edge from the node {node:?} has a condition, so that none may fit; let it be without"
            ))),
            Some(_) => Ok(()),
        }
    }

    /// All that can be reached from a node along edges, itself included.
    fn closure<'g>(
        &'g self,
        from: &'g str,
        along: impl Fn(&'g super::Edge) -> (&'g String, &'g String),
    ) -> BTreeSet<&'g str> {
        let mut reached = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for (_, to) in self.edges.iter().map(&along).filter(|(from, _)| *from == at) {
                if reached.insert(to) {
                    open.push(to);
                }
            }
        }
        reached
    }

    fn wrong(&self, what: String) -> Error {
        Error::invalid(format!("the graph {:?} cannot be walked: {what}", self.name))
    }
}
