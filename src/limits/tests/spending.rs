//! Random schedules of calls that spend tokens and money, against books kept beside them.

use proptest::prelude::*;

use super::books::World;
use super::schedules::steps;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn every_grant_is_within_its_limit_and_every_charge_is_accounted(schedule in steps()) {
        let mut world = World::new();
        for step in &schedule {
            world.step(step);
        }
        world.end();
    }
}
