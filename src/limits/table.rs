//! The named cells of one limit, under a cap. A flood of names neither grows it nor frees anyone of a limit.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use super::cell::{Cell, Value};
use super::lease::Leased;
use super::rule::Rule;
use crate::clock::Now;

/// Cells by name.
///
/// A cell goes only when a new one could stand in for it, so nothing counted is ever lost. Every new name
/// makes the hand look at a few cells, so the table follows the number of names in use; it takes the
/// place of the least recently used, for a cell used since the hand last passed is spared once.
#[derive(Debug)]
pub(super) struct Table {
    /// Where in `nodes`; std's keyed hash, for names may come from callers.
    index: HashMap<Arc<str>, usize>,
    nodes: Vec<Node>,
    hand: usize,
    cap: usize,
    /// Where its cells outlive the process.
    leased: Option<Arc<Leased>>,
}

#[derive(Debug)]
struct Node {
    name: Arc<str>,
    cell: Arc<Cell>,
    /// Asked for since the hand last passed.
    touched: bool,
}

/// Cells looked at for each new name: more than one, so that the table can shrink.
const LOOKS: usize = 2;
/// Cells looked at for each new name when the table is full: what a flood costs per call.
const LOOKS_WHEN_FULL: usize = 32;

impl Table {
    pub(super) fn new(cap: usize) -> Self {
        Self { index: HashMap::new(), nodes: Vec::new(), hand: 0, cap, leased: None }
    }

    /// The same with cells that may outlive the process.
    pub(super) fn leased(self, leased: Option<Arc<Leased>>) -> Self {
        Self { leased, ..self }
    }

    /// Cells made from here on outlive the process under another name.
    pub(super) fn rename(&mut self, leased: &Arc<Leased>) {
        self.leased = Some(Arc::clone(leased));
    }

    /// The name's cell, made if need be; none where the table is full and no cell in reach is idle.
    pub(super) fn cell(&mut self, name: &str, rule: &Rule, now: Now) -> Option<Arc<Cell>> {
        if let Some(node) = self.index.get(name).and_then(|&at| self.nodes.get_mut(at)) {
            node.touched = true;
            return Some(Arc::clone(&node.cell));
        }
        let full = self.nodes.len() >= self.cap;
        self.reclaim(if full { LOOKS_WHEN_FULL } else { LOOKS }, full, now);
        (self.nodes.len() < self.cap).then(|| self.insert(name, rule, now))
    }

    /// Every cell.
    pub(super) fn cells(&self) -> Vec<Arc<Cell>> {
        self.nodes.iter().map(|node| Arc::clone(&node.cell)).collect()
    }

    /// Whether an empty table could stand in for this one.
    pub(super) fn is_replaceable(&mut self, now: Now) -> bool {
        self.nodes.iter_mut().all(|node| Cell::is_replaceable(&mut node.cell, now))
    }

    fn insert(&mut self, name: &str, rule: &Rule, now: Now) -> Arc<Cell> {
        let name: Arc<str> = Arc::from(name);
        let cell = Arc::new(Cell::leased(Value::Named(Arc::clone(&name)), rule, now, self.leased.as_deref()));
        self.index.insert(Arc::clone(&name), self.nodes.len());
        self.nodes.push(Node { name, cell: Arc::clone(&cell), touched: false });
        cell
    }

    /// Removes the idle among the next `looks` cells; `full` takes a spared one rather than none.
    fn reclaim(&mut self, looks: usize, full: bool, now: Now) {
        let (mut removed, mut spared) = (false, None);
        for _ in 0..looks.min(self.nodes.len()) {
            if self.hand >= self.nodes.len() {
                self.hand = 0;
            }
            let Some(node) = self.nodes.get_mut(self.hand) else {
                return;
            };
            let touched = mem::take(&mut node.touched);
            if !Cell::is_replaceable(&mut node.cell, now) {
                self.hand += 1;
            } else if touched {
                spared = Some(self.hand);
                self.hand += 1;
            } else {
                self.remove(self.hand);
                removed = true;
            }
        }
        if let (true, false, Some(at)) = (full, removed, spared) {
            self.remove(at);
        }
    }

    /// The last node takes the place of the one that goes.
    fn remove(&mut self, at: usize) {
        let gone = self.nodes.swap_remove(at);
        self.index.remove(&gone.name);
        if let Some(place) = self.nodes.get(at).and_then(|moved| self.index.get_mut(&moved.name)) {
            *place = at;
        }
    }
}

#[cfg(test)]
mod tests;
