use proptest::prelude::*;

use super::*;
use crate::policy::compile::compile;
use crate::policy::load::Sources;
use crate::units::NanoUsd;

const POLICY: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
providers:
  house: { mock: {} }
models:
  dear:   { provider: house, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00", cacheReadPerMTok: "0.50" }] }
  middle: { provider: house, price: [{ inputPerMTok: "1.00", outputPerMTok: "2.00" }] }
  cheap:  { provider: house, price: [{ inputPerMTok: "0.10", outputPerMTok: "0.50" }] }
  later:  { provider: house, price: [{ inputPerMTok: "0.01", outputPerMTok: "0.01", effectiveFrom: "2027-01-01" }] }
  free:   { provider: house }
routes:
  chat:
    targets:
      - { model: middle, when: { timeOfDay: { from: "22:00", to: "06:00" } } }
      - { model: cheap, when: { task: [summarization], inputTokensBelow: 8000 } }
      - { model: dear }
  split:  { strategy: weighted, targets: [{ model: dear, weight: 3 }, { model: cheap, weight: 1 }] }
  least:  { strategy: cheapest, targets: [{ model: free }, { model: dear }, { model: cheap }, { model: middle }] }
  quick:  { strategy: fastest, targets: [{ model: dear }, { model: cheap }] }
  nobody: { targets: [{ model: dear, when: { priority: [high] } }] }
  unsaid: { targets: [{ model: free }] }
tenants:
  app: { local: true, access: { allow: ["*"] }, limits: { rpm: { requests: 60, per: 1m } } }
"#;

fn policy() -> Snapshot {
    let sources: Sources = [("policy.yaml".into(), POLICY.as_bytes().to_vec())].into_iter().collect();
    compile(&sources).unwrap_or_else(|found| panic!("{found}")).0
}

fn question(shares: &[(&str, u16)]) -> Question {
    Question {
        month: Workload {
            input: Tokens(200_000_000),
            cached: Tokens(100_000_000),
            output: Tokens(100_000_000),
        },
        at: "2026-11-29T12:00:00Z".parse().unwrap(),
        baseline: None,
        shares: shares.iter().map(|(of, permille)| Share { of: (*of).into(), permille: *permille }).collect(),
        call_input: Tokens(1_000),
    }
}

fn routed(shares: &[(&str, u16)]) -> Result<Vec<(String, String)>, CostError> {
    let found = compare(&policy(), &question(shares))?.routed.unwrap();
    Ok(found.parts.iter().map(|part| (part.model.to_string(), part.cost.month.to_string())).collect())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(model, month)| ((*model).into(), (*month).into())).collect()
}

#[test]
fn models_are_listed_by_what_the_work_costs_there_and_those_without_a_price_are_named() {
    let found = compare(&policy(), &question(&[])).unwrap();
    let lines: Vec<_> =
        found.models.iter().map(|line| (line.model.as_str(), line.cost.month.to_string())).collect();
    assert_eq!(lines, [("cheap", "70".into()), ("middle", "400".into()), ("dear", "1050".into())]);
    assert_eq!(found.unpriced, ["free", "later"].map(ModelId::from));
    assert_eq!(found.baseline.model.as_str(), "dear", "the dearest, where none is named");
    assert_eq!(found.routed, None);
}

#[test]
fn a_price_counts_from_its_day_on() {
    let later = Question { at: "2027-01-01T00:00:00Z".parse().unwrap(), ..question(&[]) };
    let found = compare(&policy(), &later).unwrap();
    assert_eq!(found.models[0].model.as_str(), "later");
    assert_eq!(found.models[0].cost.month.to_string(), "3");
}

#[test]
fn an_ordered_route_leads_a_task_to_its_first_target_for_it() {
    assert_eq!(
        routed(&[("chat:summarization", 500), ("chat:code", 300), ("chat", 200)]),
        Ok(pairs(&[("cheap", "35"), ("dear", "315"), ("dear", "210")]))
    );
    let long = Question { call_input: Tokens(8_000), ..question(&[("chat:summarization", 1000)]) };
    let parts = compare(&policy(), &long).unwrap().routed.unwrap().parts;
    assert_eq!(parts[0].model.as_str(), "dear", "the call is too long for the other");
    assert_eq!(parts[0].passed_over, ["middle"].map(ModelId::from), "nobody said what time it is");
}

#[test]
fn a_weighted_route_leads_to_all_its_targets_by_their_weights() {
    assert_eq!(routed(&[("split", 1000)]), Ok(pairs(&[("dear", "787.5"), ("cheap", "17.5")])));
}

#[test]
fn a_cheapest_route_leads_where_the_work_costs_least_of_what_is_known() {
    assert_eq!(routed(&[("least", 1000)]), Ok(pairs(&[("cheap", "70")])));
}

#[test]
fn what_prices_cannot_tell_is_refused_with_its_reason() {
    assert_eq!(routed(&[("quick", 1000)]), Err(CostError::Fastest("quick".into())));
    assert_eq!(routed(&[("nobody", 1000)]), Err(CostError::NoTarget("nobody".into())));
    assert_eq!(routed(&[("unsaid", 1000)]), Err(CostError::Unpriced("free".into())));
    let not_all = routed(&[("dear", 500), ("cheap", 455)]).unwrap_err();
    assert_eq!(not_all.to_string(), "the shares are 95.5% together, not 100%");
    let unknown = routed(&[("chad", 1000)]).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no route or model `chad` in this policy: did you mean `chat`?");
    let baseline = Question { baseline: Some("free".into()), ..question(&[]) };
    assert_eq!(compare(&policy(), &baseline), Err(CostError::Unpriced("free".into())));
}

#[test]
fn a_model_may_be_a_share_of_its_own() {
    assert_eq!(routed(&[("dear", 300), ("middle", 700)]), Ok(pairs(&[("dear", "315"), ("middle", "280")])));
}

proptest! {
    #[test]
    fn shares_together_are_between_the_cheapest_and_the_dearest(
        input in 1..1_u64 << 40, output in 1..1_u64 << 40, cheap in 1..1000_u16,
    ) {
        let shares = [("cheap", cheap), ("split", 1000 - cheap)];
        let month = Workload { input: Tokens(input), cached: Tokens(input / 3), output: Tokens(output) };
        let found = compare(&policy(), &Question { month, ..question(&shares) }).unwrap();
        let routed = found.routed.unwrap();
        let sum = |of: fn(&Workload) -> Tokens| routed.parts.iter().map(|part| of(&part.month)).sum::<Tokens>();
        prop_assert_eq!(sum(|part| part.input), month.input);
        prop_assert_eq!(sum(|part| part.output), month.output);
        // Each part is rounded up, and may have a token of each kind from another's share.
        let slack = NanoUsd(routed.parts.len() as u64 * 30_000);
        prop_assert!(routed.total.month + slack >= found.models[0].cost.month);
        prop_assert!(routed.total.month <= found.baseline.cost.month + slack);
    }
}
