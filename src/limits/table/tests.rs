use std::time::Duration;

use super::super::cell::Share;
use super::super::tests::moment;
use super::*;

const PER: Duration = Duration::from_secs(60);

fn rule() -> Rule {
    crate::limits::tests::rule("rpm", crate::limits::tests::requests(1, PER), None)
}

/// Counts a call at the name's cell, as long as it has one of its own.
fn used(table: &mut Table, name: &str, now: Now) -> bool {
    let Some(cell) = table.cell(name, &rule(), now) else {
        return false;
    };
    let mut count = cell.lock();
    let mut share = Share::default();
    count.grant(1, &mut share);
    count.settle(1, &mut share, now);
    true
}

#[test]
fn a_name_finds_its_cell_again() {
    let now = moment();
    let mut table = Table::new(4);
    let first = table.cell("ana", &rule(), now).unwrap();
    assert!(Arc::ptr_eq(&first, &table.cell("ana", &rule(), now).unwrap()));
    assert!(!Arc::ptr_eq(&first, &table.cell("bo", &rule(), now).unwrap()));
}

#[test]
fn a_cell_in_hand_stays_though_it_counts_nothing_yet() {
    let now = moment();
    let mut table = Table::new(1);
    let held = table.cell("ana", &rule(), now).unwrap();
    assert!(table.cell("bo", &rule(), now).is_none());
    drop(held);
    assert!(table.cell("bo", &rule(), now).is_some());
}

#[test]
fn a_cell_that_counts_stays_until_it_has_leaked() {
    let now = moment();
    let mut table = Table::new(1);
    assert!(used(&mut table, "ana", now));
    assert!(!used(&mut table, "bo", now + (PER - Duration::from_nanos(1))));
    assert!(used(&mut table, "bo", now + PER));
}

#[test]
fn a_full_table_spares_the_one_that_was_used_since() {
    let now = moment();
    let mut table = Table::new(3);
    let names = ["ana", "bo", "cy"];
    let in_hand: Vec<_> = names.map(|name| table.cell(name, &rule(), now).unwrap()).into();
    drop(in_hand);
    assert!(table.cell("ana", &rule(), now).is_some());
    assert!(table.cell("di", &rule(), now).is_some());
    assert!(table.index.contains_key("ana"));
    assert!(!table.index.contains_key("bo") || !table.index.contains_key("cy"));
}

#[test]
fn a_full_table_of_touched_idle_cells_still_takes_a_new_name() {
    let now = moment();
    let mut table = Table::new(3);
    let in_hand: Vec<_> = ["ana", "bo", "cy"].map(|name| table.cell(name, &rule(), now).unwrap()).into();
    drop(in_hand);
    for name in ["ana", "bo", "cy"] {
        assert!(table.cell(name, &rule(), now).is_some());
    }
    assert!(table.cell("di", &rule(), now).is_some());
    assert_eq!(table.nodes.len(), 3);
}

#[test]
fn a_flood_of_names_that_count_nothing_does_not_grow_the_table() {
    let now = moment();
    let mut table = Table::new(1_000);
    for i in 0..10_000 {
        assert!(table.cell(&format!("user-{i}"), &rule(), now).is_some());
    }
    assert!(table.nodes.len() <= 4, "{} cells", table.nodes.len());
}

#[test]
fn idle_cells_behind_many_in_use_are_found_in_time() {
    let now = moment();
    let mut table = Table::new(200);
    for i in 0..200 {
        assert!(used(&mut table, &format!("user-{i}"), now + if i == 150 { Duration::ZERO } else { PER }));
    }
    // All but one are in use at this moment; each attempt looks at the next few cells.
    let found = (0..200).any(|_| table.cell("late", &rule(), now + PER).is_some());
    assert!(found);
    assert!(!table.index.contains_key("user-150"));
}

#[test]
fn index_and_nodes_agree_after_any_churn() {
    let start = moment();
    let mut table = Table::new(64);
    let mut seed = 7_u64;
    for step in 0..20_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let now = start + Duration::from_secs(step);
        used(&mut table, &format!("user-{}", (seed >> 33) % 300), now);
        assert!(table.nodes.len() <= 64);
    }
    assert_eq!(table.index.len(), table.nodes.len());
    for (at, node) in table.nodes.iter().enumerate() {
        assert_eq!(table.index.get(&node.name), Some(&at));
    }
}
